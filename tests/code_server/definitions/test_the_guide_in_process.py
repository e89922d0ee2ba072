"""The four examples of the asset-sensor guide, evaluated as a user's unit tests would do it.

Behaviour is that of the established API but for the deliberate differences: an asset sensor sees
every materialization and not only the newest, nothing limits its rate unless a minimum interval is
given, and a file without a Definitions object serves everything in it.
"""

import pathlib
import sys

import pytest

import atoll as dg
from atoll._location import launch, loading

GUIDE = pathlib.Path(__file__).parents[3] / "examples" / "asset_sensor_guide"
SIMPLE = "simple-asset-sensor-example.py"
CUSTOM = "asset-sensor-custom-eval.py"
WITH_CONFIG = "asset-sensor-with-config.py"
MULTI = "multi-asset-sensor.py"
WATCHED = dg.AssetKey("daily_sales_data")
A, B = dg.AssetKey("asset_a"), dg.AssetKey("asset_b")


class Example:
    """One file of the guide with an instance, and the cursor that its sensor's ticks hand on."""

    def __init__(self, definitions: dg.Definitions) -> None:
        self.definitions = definitions
        self.instance = dg.Instance.ephemeral()
        (self.sensor,) = definitions.sensors
        self.cursor: str | None = None

    def materialize(self, key: dg.AssetKey = WATCHED) -> int:
        """Materialize an asset of the file, and return where its event stands in the log."""
        made = self.definitions.get_assets_def(key)
        assert dg.materialize([made], instance=self.instance).success
        return self.newest(key)

    def report(self, **metadata: object) -> int:
        """Report a materialization of the watched asset with other metadata."""
        event = dg.AssetMaterialization(WATCHED, metadata=metadata)
        self.instance.report_runless_asset_event(event)
        return self.newest(WATCHED)

    def newest(self, key: dg.AssetKey) -> int:
        (record,) = self.instance.fetch_materializations(key, limit=1).records
        return record.storage_id

    def tick(self) -> dg.TickResult:
        """Evaluate the sensor once; its cursor is what the next evaluation begins with."""
        if isinstance(self.sensor, dg.MultiAssetSensorDefinition):
            context = dg.build_multi_asset_sensor_context(
                monitored_assets=self.sensor.monitored_assets,
                instance=self.instance,
                cursor=self.cursor,
            )
        else:
            context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        told = self.sensor.evaluate_tick(context)
        self.cursor = told.cursor
        return told


@pytest.fixture
def example(monkeypatch):
    """Loads a file of the guide as a code location does: by its path, whatever its name."""
    monkeypatch.chdir(GUIDE)
    monkeypatch.setattr(sys, "path", list(sys.path))
    known = set(sys.modules)

    def load(file: str) -> Example:
        target = launch.Target(
            kind=launch.TargetKind.FILE, value=str(GUIDE / file), working_directory=str(GUIDE)
        )
        return Example(loading.load_definitions(target))

    yield load
    for name in set(sys.modules) - known:
        if name.startswith("atoll_location_"):
            del sys.modules[name]


@pytest.mark.parametrize("file", [SIMPLE, CUSTOM, WITH_CONFIG])
def test_before_any_materialization_the_tick_is_skipped_and_the_cursor_stays(example, file):
    guide = example(file)
    told = guide.tick()
    assert told.run_requests == ()
    assert told.skip_message == (
        "No new materialization events found for asset key AssetKey(['daily_sales_data'])"
    )
    assert told.cursor is None


def test_a_materialization_asks_for_one_run_and_its_position_becomes_the_cursor(example):
    guide = example(SIMPLE)
    position = guide.materialize()
    told = guide.tick()
    (request,) = told.run_requests
    assert (request.job_name, request.run_key) == ("my_job", None)
    assert request.tags == {"atoll/sensor_name": "daily_sales_data_sensor"}
    assert told.cursor == str(position)
    again = guide.tick()
    assert again.skip_message.startswith("No new materialization events found")
    assert again.cursor == str(position)


def test_every_materialization_between_two_ticks_is_seen_in_order(example):
    guide = example(SIMPLE)
    first, second = guide.materialize(), guide.materialize()
    assert [guide.tick().cursor for _ in range(2)] == [str(first), str(second)]
    assert guide.tick().run_requests == ()


@pytest.mark.parametrize("file", [CUSTOM, WITH_CONFIG])
def test_the_run_key_is_the_cursor_that_the_evaluation_before_left(example, file):
    guide = example(file)
    first = guide.materialize()
    assert [request.run_key for request in guide.tick().run_requests] == [None]
    guide.materialize()
    assert [request.run_key for request in guide.tick().run_requests] == [str(first)]


def test_a_reason_to_skip_reaches_the_tick_and_the_cursor_moves_all_the_same(example):
    guide = example(CUSTOM)
    position = guide.report(another_property=1)
    told = guide.tick()
    assert told.run_requests == ()
    assert told.skip_message == "The materialization has no specific_property"
    assert told.cursor == str(position)


def test_yielding_nothing_is_a_skip_and_the_cursor_moves_all_the_same(example):
    guide = example(WITH_CONFIG)
    position = guide.report(another_property=1)
    told = guide.tick()
    assert told.run_requests == ()
    assert told.skip_message == "Sensor function returned an empty result"
    assert told.cursor == str(position)


def test_a_property_becomes_run_configuration_with_its_type_and_all(example):
    guide = example(WITH_CONFIG)
    guide.materialize()
    (request,) = guide.tick().run_requests
    param1 = "TextMetadataValue(text='value')"
    assert request.run_config == {
        "loggers": {},
        "resources": {},
        "ops": {"weekly_report": {"config": {"param1": param1}}},
        "execution": {},
    }
    job = guide.definitions.get_job_def(request.job_name)
    asked_for = job.execute_in_process(run_config=request.run_config)
    by_default = job.execute_in_process()
    assert [result.all_log_messages[0].message for result in (asked_for, by_default)] == [
        f"Running with param1 = {param1}",
        "Running with param1 = value",
    ]


@pytest.mark.parametrize(
    ("returned", "runs"),
    [
        (dg.RunRequest(), 1),
        ([dg.RunRequest("one"), dg.RunRequest("two")], 2),
        (dg.SensorResult([dg.RunRequest()]), 1),
        (dg.SkipReason("not today"), 0),
        (dg.SensorResult(skip_reason="not today"), 0),
        (None, 0),
    ],
)
def test_a_sensor_may_return_what_it_likes(example, returned, runs):
    guide = example(SIMPLE)
    job = guide.definitions.get_job_def("my_job")
    decorate = dg.asset_sensor(asset_key=WATCHED, job=job, name="returning")
    guide.sensor = decorate(lambda context: returned)
    position = guide.materialize()
    told = guide.tick()
    assert len(told.run_requests) == runs
    assert (told.skip_message is None) is bool(runs)
    assert told.cursor == str(position)


@pytest.mark.parametrize(
    ("file", "kind"), [(SIMPLE, dg.SensorType.ASSET), (MULTI, dg.SensorType.MULTI_ASSET)]
)
def test_a_sensor_is_stopped_and_unlimited_until_somebody_says_otherwise(example, file, kind):
    sensor = example(file).sensor
    assert sensor.sensor_type is kind
    assert sensor.default_status is dg.DefaultSensorStatus.STOPPED
    assert sensor.effective_minimum_interval_s == 0


def test_several_assets_must_all_be_new(example):
    guide = example(MULTI)
    told = guide.tick()
    assert told.skip_message == "Sensor function returned an empty result"
    assert told.cursor is None

    a = guide.materialize(A)
    assert (guide.tick().run_requests, guide.cursor) == ((), None)

    b = guide.materialize(B)
    (request,) = guide.tick().run_requests
    assert (request.job_name, request.run_key) == ("downstream_job", None)
    first = (
        f"{{\"AssetKey(['asset_a'])\": [null, {a}, {{}}], "
        f"\"AssetKey(['asset_b'])\": [null, {b}, {{}}]}}"
    )
    assert guide.cursor == first


def test_several_assets_are_waited_for_anew_after_a_run(example):
    guide = example(MULTI)
    guide.materialize(A)
    guide.materialize(B)
    guide.tick()
    first = guide.cursor
    assert guide.tick().run_requests == ()
    guide.materialize(A)
    assert guide.tick().run_requests == ()
    assert guide.cursor == first
    guide.materialize(B)
    (request,) = guide.tick().run_requests
    assert request.run_key == first
    assert guide.cursor != first


def test_the_assets_of_the_guide_keep_their_values(example):
    guide = example(MULTI)
    guide.materialize(A)
    assert guide.definitions.load_asset_value(A, instance=guide.instance) == [1, 2, 3]


@pytest.mark.parametrize("file", [CUSTOM, WITH_CONFIG])
def test_a_file_without_definitions_serves_its_jobs_and_sensors_too(example, file):
    definitions = example(file).definitions
    assert [key.to_user_string() for key in definitions.resolve_all_asset_keys()] == [
        "daily_sales_data",
        "weekly_report",
    ]
    assert [job.name for job in definitions.jobs] == ["my_job"]
    assert [sensor.name for sensor in definitions.sensors] == ["daily_sales_data_sensor"]
