"""The snapshot says what the definitions say, the same each time, and fast."""

import hashlib
import json
import os
import subprocess
import sys
import textwrap

import pytest

import atoll as dg
from atoll._wire import snapshot
from atoll.definitions.v1 import snapshot_pb2
from tests import counting

SOURCE = textwrap.dedent(
    """
    import atoll as dg

    class MyConfig(dg.Config):
        limit: int
        name: str = "x"

    @dg.asset(
        key_prefix=["raw"], description="What was sold.", group_name="shop",
        owners=["team:data", "a@b.cz"], tags={"b": "2", "a": "1"}, kinds={"python", "table"},
        code_version="3", metadata={"z": 1, "a": 2**70},
        deps=["elsewhere"],
    )
    def sales(config: MyConfig):
        return 1

    @dg.asset(ins={"given": dg.AssetIn(key=["raw", "sales"])})
    def report(given):
        return given

    external = dg.AssetSpec("elsewhere", description="made by others")

    nightly = dg.define_asset_job(
        "nightly", selection=["raw/sales", "report"], tags={"a": "b"}, run_tags={"c": "d"},
        config={"ops": {"raw__sales": {"config": {"limit": 1}}}}, description="Every night.",
    )

    @dg.asset_sensor(asset_key=dg.AssetKey("elsewhere"), job=nightly, coalesce=True)
    def on_elsewhere():
        \"\"\"Runs when elsewhere is new.\"\"\"

    @dg.sensor(
        job_name="nightly", minimum_interval_seconds=0.5,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def polls(): ...

    @dg.multi_asset_sensor(monitored_assets=[dg.AssetKey("b"), dg.AssetKey("a")], job=nightly)
    def on_both(): ...

    at_three = dg.ScheduleDefinition(
        job=nightly, cron_schedule="0 3 * * *", execution_timezone="Europe/Zurich",
        tags={"k": "v"}, metadata={"rows": 3}, owners=["team:data"], skipped_times="skip",
        repeated_times="last", max_catchup_runs=0, max_tick_retries=2,
    )

    @dg.schedule(
        cron_schedule=["0 1 * * *", "@hourly"], target=[report],
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def assets_often():
        \"\"\"Asks for a report.\"\"\"

    defs = dg.Definitions(
        assets=[sales, report, external], jobs=[nightly], schedules=[at_three, assets_often],
        sensors=[on_elsewhere, polls, on_both], metadata={"team": "data"},
    )
    """
)


@pytest.fixture(scope="module")
def made() -> snapshot_pb2.LocationSnapshot:
    namespace: dict = {"__name__": "made"}
    exec(compile(SOURCE, "made.py", "exec"), namespace)  # noqa: S102 - the user's module of this test
    return snapshot.to_message(namespace["defs"])


def test_assets_are_described_whole_and_sorted(made):
    assert [list(asset.key.path) for asset in made.assets] == [
        ["elsewhere"],
        ["raw", "sales"],
        ["report"],
    ]
    external, sales, report = made.assets
    assert (external.executable, external.op_name, external.io_manager_key) == (False, "", "")
    assert sales.executable
    assert (sales.op_name, sales.group_name, sales.code_version) == ("raw__sales", "shop", "3")
    assert (list(sales.owners), list(sales.kinds)) == (["team:data", "a@b.cz"], ["python", "table"])
    assert dict(sales.tags) == {"a": "1", "b": "2"}
    assert sales.metadata["a"].big_int == str(2**70)
    assert [(list(one.asset_key.path), one.input_name) for one in sales.dependencies] == [
        (["elsewhere"], "")
    ]
    assert [(list(one.asset_key.path), one.input_name) for one in report.dependencies] == [
        (["raw", "sales"], "given")
    ]
    assert sales.source.file == "made.py"
    assert sales.source.line > 0
    assert report.group_name == "default"


def test_jobs_are_described_with_their_schema(made):
    everything, _, nightly = made.jobs
    assert (everything.name, everything.implicit) == ("__ASSET_JOB", True)
    assert not everything.HasField("default_config")
    assert (nightly.description, nightly.implicit) == ("Every night.", False)
    assert (dict(nightly.tags), dict(nightly.run_tags)) == ({"a": "b"}, {"c": "d"})
    assert [list(key.path) for key in nightly.asset_keys] == [["raw", "sales"], ["report"]]
    schema = json.loads(nightly.config_schema.data)
    assert "raw__sales" in schema["properties"]["ops"]["properties"]
    assert nightly.config_schema.content_type == "application/schema+json"
    assert json.loads(nightly.default_config.data)["ops"]["raw__sales"]["config"] == {"limit": 1}


def test_sensors_are_described(made):
    both, elsewhere, polls = made.sensors
    assert (both.kind, [list(key.path) for key in both.monitored_assets]) == (
        snapshot_pb2.SENSOR_KIND_MULTI_ASSET,
        [["b"], ["a"]],
    )
    assert (elsewhere.kind, elsewhere.coalesce) == (snapshot_pb2.SENSOR_KIND_ASSET, True)
    assert elsewhere.description == "Runs when elsewhere is new."
    assert elsewhere.minimum_interval.ToTimedelta().total_seconds() == 0
    assert elsewhere.default_status == snapshot_pb2.SENSOR_STATUS_STOPPED
    assert (polls.kind, list(polls.job_names)) == (snapshot_pb2.SENSOR_KIND_POLLING, ["nightly"])
    assert polls.minimum_interval.ToTimedelta().total_seconds() == 0.5
    assert polls.default_status == snapshot_pb2.SENSOR_STATUS_RUNNING


def test_schedules_are_described(made):
    often, three = made.schedules
    assert (three.name, three.job_name, list(three.cron_schedules)) == (
        "nightly_schedule",
        "nightly",
        ["0 3 * * *"],
    )
    assert (three.execution_timezone, list(three.owners)) == ("Europe/Zurich", ["team:data"])
    assert (dict(three.tags), three.metadata["rows"].int) == ({"k": "v"}, 3)
    assert three.skipped_times == snapshot_pb2.SKIPPED_TIMES_SKIP
    assert three.repeated_times == snapshot_pb2.REPEATED_TIMES_LAST
    assert (three.HasField("catch_up_max"), three.catch_up_max, three.retries_max) == (True, 0, 2)
    assert three.default_status == snapshot_pb2.SCHEDULE_STATUS_STOPPED
    assert (often.name, often.description) == ("assets_often", "Asks for a report.")
    assert list(often.cron_schedules) == ["0 1 * * *", "@hourly"]
    assert [list(key.path) for key in often.asset_selection] == [["report"]]
    assert often.job_name in {job.name for job in made.jobs}
    assert often.default_status == snapshot_pb2.SCHEDULE_STATUS_RUNNING
    assert often.skipped_times == snapshot_pb2.SKIPPED_TIMES_SHIFT
    assert often.repeated_times == snapshot_pb2.REPEATED_TIMES_FIRST
    assert not often.HasField("catch_up_max")
    assert often.source.file == "made.py"


def test_definitions_may_carry_metadata(made):
    assert made.metadata["team"].text == "data"


@pytest.mark.slow
def test_the_digest_is_the_same_in_every_process(tmp_path):
    (tmp_path / "made.py").write_text(SOURCE)
    script = (
        "import hashlib, made; from atoll._wire import snapshot; "
        "print(hashlib.sha256(snapshot.encode(made.defs)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == hashlib.sha256().digest_size * 2


def test_assets_are_described_in_time_and_space_linear_in_their_number():
    def compute() -> None: ...

    def described(count):
        every = [
            dg.asset(
                name=f"a{number}",
                deps=[f"a{number - 1}"] if number else [],
                description="some words",
                owners=["team:x"],
                tags={"a": "b"},
                metadata={"rows": number, "note": "x"},
            )(compute)
            for number in range(count)
        ]
        defined = dg.Definitions(assets=every, jobs=[dg.define_asset_job("all")])
        assert defined.resolve_all_job_defs()
        encoded = []
        calls = counting.calls_of(lambda: encoded.append(snapshot.encode(defined)))
        assert len(encoded[0]) < count * 1024
        return calls.total()

    described(10)
    assert described(500) < 10 * 1.2 * described(50)
