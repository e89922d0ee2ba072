"""Unit tests of the location: no host, no database, no network."""

import definitions
import pytest

import atoll as dg

DAY = "2026-01-02"


class FakeStation(definitions.Station):
    """Gives what the test wants."""

    found: list[float]

    def measurements(self, day: str) -> list[float]:
        return self.found


@pytest.fixture
def station():
    return FakeStation(address="none", found=[1.0, 3.0, 999.0])


@pytest.fixture
def instance():
    with dg.Instance.ephemeral() as one:
        yield one


def test_a_function_is_called_like_any_other():
    assert definitions.mean_temperature([1.0, 3.0]) == 2.0
    with pytest.raises(dg.Failure, match="no measurement"):
        definitions.mean_temperature([])


def test_a_context_says_which_partition(station):
    context = dg.build_asset_context(partition_key=DAY)
    cleaning = definitions.Cleaning(highest=2.0)
    assert definitions.measurements(context, cleaning, station) == [1.0]


def test_a_check_is_called_with_a_value():
    assert definitions.plausible(20.0).passed
    assert not definitions.plausible(70.0).passed


def test_assets_are_materialized_with_another_resource(station, instance):
    result = dg.materialize(
        [definitions.measurements, definitions.mean_temperature, definitions.plausible],
        partition_key=DAY,
        resources={"station": station},
        instance=instance,
    )
    assert result.success
    assert result.asset_value("mean_temperature") == 2.0
    (made,) = result.asset_materializations_for_node("measurements")
    assert made.partition == DAY
    assert made.metadata["dropped"].value == 1


def test_run_configuration_reaches_the_asset(station):
    result = dg.materialize(
        [definitions.measurements],
        partition_key=DAY,
        resources={"station": station},
        run_config=dg.RunConfig(ops={"measurements": definitions.Cleaning(highest=1000.0)}),
    )
    assert result.asset_value("measurements") == [1.0, 3.0, 999.0]


def test_a_failure_is_told_by_the_result():
    result = dg.materialize(
        [definitions.measurements],
        partition_key=DAY,
        resources={"station": definitions.Station(address="the mountain")},
        raise_on_error=False,
    )
    assert not result.success
    assert "the mountain does not answer" in result.failure_data_for_node("measurements").message


def test_a_sensor_decides_by_what_the_instance_knows(station, instance):
    context = dg.build_sensor_context(instance=instance)
    assert definitions.new_days.evaluate_tick(context).skip_message == "still 0 days"

    dg.materialize(
        [definitions.measurements, definitions.mean_temperature],
        partition_key=DAY,
        resources={"station": station},
        instance=instance,
    )
    tick = definitions.new_days.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert [request.run_key for request in tick.run_requests] == ["days-1"]
    assert tick.cursor == "1"

    done = definitions.announcement.execute_in_process(instance=instance)
    assert done.output_for_node("announce") == 1


def test_everything_fits_together():
    definitions.defs.validate_loadable()
