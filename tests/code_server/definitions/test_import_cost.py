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
    "traceback",
    "typing_extensions",
)
NEW_MODULES_MAX = 90


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
def test_the_import_loads_nothing_expensive(bare):
    loaded = _modules_after("import atoll") - bare
    assert "atoll._definitions.definitions" in loaded
    assert sorted(loaded & set(EXPENSIVE)) == []
    assert len(loaded) <= NEW_MODULES_MAX


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
