import importlib.util
import logging
import pathlib
import shutil

import pytest

import atoll as dg
from tests.code_server.pipes import programs

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "pipes"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("pipes_example", EXAMPLE / "definitions.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _materialized(asset):
    result = dg.materialize([asset])
    (event,) = result.get_asset_materialization_events()
    return programs.logged(result), event.materialization


def test_python_with_the_module(example, monkeypatch):
    source = pathlib.Path(dg.__file__).parents[1]
    monkeypatch.setitem(example.programs.env, "PYTHONPATH", str(source))
    logged, materialization = _materialized(example.orders)
    assert logged == [(logging.INFO, "Reading the orders of 2024-05-01")]
    assert materialization.data_version == "2024-05-01"
    assert materialization.metadata == {
        "orders": dg.MetadataValue.int(3),
        "turnover": dg.MetadataValue.float(49.75),
        "report": dg.MetadataValue.md("**49.75** in total"),
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_a_shell_script(example):
    logged, materialization = _materialized(example.sizes)
    files = [*sorted(EXAMPLE.glob("*.py")), *sorted(EXAMPLE.glob("*.sh"))]
    assert logged == [(logging.INFO, f"Measuring {path.name}") for path in files]
    size = sum(path.stat().st_size for path in files)
    assert materialization.metadata == {"bytes": dg.MetadataValue.int(size)}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_javascript(example):
    logged, materialization = _materialized(example.weather)
    assert logged == [(logging.INFO, "The weather of Papeete")]
    assert materialization.metadata == {
        "degrees": dg.MetadataValue.float(29.5),
        "source": dg.MetadataValue.url("https://example.org/weather"),
    }
