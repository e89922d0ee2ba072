"""What `import atoll` loads: modules, not milliseconds, since those depend on the machine."""

import json
import subprocess
import sys

import pytest

EXPENSIVE = (
    "asyncio",
    "click",
    "google.protobuf",
    "grpc",
    "logging",
    "pathlib",
    "pydantic",
    "pydantic_core",
    "random",
    "traceback",
    "typing_extensions",
)
# Beyond the bare interpreter; a third of them is Python's own.
MODULES_OF_THE_IMPORT_MAX = 40
MODULES_OF_A_MODULE_OF_ASSETS_MAX = 170
# What a module of assets and sensors asks for, whether or not it runs anything.
FIRST_NAMES = "import atoll as dg\ndg.asset, dg.Definitions, dg.sensor, dg.define_asset_job"


def _modules_after(code):
    """Return the modules that a fresh interpreter holds after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def bare():
    return _modules_after("")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "modules_max"),
    [
        ("import atoll", MODULES_OF_THE_IMPORT_MAX),
        (FIRST_NAMES, MODULES_OF_A_MODULE_OF_ASSETS_MAX),
    ],
)
def test_nothing_expensive_is_loaded(bare, code, modules_max):
    loaded = _modules_after(code) - bare
    assert "atoll._exports" in loaded
    assert sorted(loaded & set(EXPENSIVE)) == []
    assert len(loaded) <= modules_max


@pytest.mark.slow
def test_pydantic_comes_when_config_is_asked_for(bare):
    assert "pydantic" in _modules_after("import atoll\natoll.Config") - bare


@pytest.mark.slow
def test_declaring_assets_and_sensors_needs_no_pydantic(bare):
    code = """
import atoll as dg

@dg.asset
def upstream(context: dg.AssetExecutionContext): return [1]

@dg.asset
def downstream(upstream): return sum(upstream)

job = dg.define_asset_job("job", [downstream], config=dg.RunConfig())

@dg.asset_sensor(upstream, job=job)
def watching(context: dg.SensorEvaluationContext, event: dg.EventLogEntry): return dg.RunRequest()

defs = dg.Definitions(assets=[upstream, downstream], jobs=[job], sensors=[watching])
defs.validate_loadable()
defs.get_job_def("job").run_config_schema
"""
    loaded = _modules_after(code) - bare
    assert "atoll._definitions.definitions" in loaded
    assert sorted(loaded & {"pydantic", "grpc", "google.protobuf", "asyncio"}) == []


@pytest.mark.slow
def test_running_sync_assets_needs_no_asyncio(bare):
    code = """
import atoll as dg

@dg.asset
def numbers(): return [1]

assert dg.materialize([numbers]).success
"""
    assert sorted((_modules_after(code) - bare) & {"pydantic", "grpc", "asyncio"}) == []
