import logging

import pytest

import atoll as dg


class Scale(dg.Config):
    factor: int = 1


def test_a_context_knows_its_run():
    seen = {}

    @dg.asset(required_resource_keys={"db"})
    def looking(context: dg.AssetExecutionContext, config: Scale):
        seen.update(
            run_id=context.run_id,
            same_run=context.run.run_id,
            job_name=context.job_name,
            key=context.asset_key,
            selected=context.selected_asset_keys,
            outputs=context.selected_output_names,
            for_output=context.asset_key_for_output(),
            tag=(context.has_tag("a"), context.get_tag("a"), context.get_tag("b")),
            op_config=dict(context.op_config),
            run_config=context.run_config["ops"],
            db=context.resources.db,
            instance=context.instance,
            assets_def=context.assets_def,
        )

    instance = dg.Instance.ephemeral()
    config = {"ops": {"looking": {"config": {"factor": 2}}}}
    result = dg.materialize(
        [looking], config, instance, resources={"db": 7, "other": 8}, tags={"a": "1"}
    )
    assert seen == {
        "run_id": result.run_id,
        "same_run": result.run_id,
        "job_name": "__ASSET_JOB",
        "key": looking.key,
        "selected": {looking.key},
        "outputs": {"result"},
        "for_output": looking.key,
        "tag": (True, "1", None),
        "op_config": {"factor": 2},
        "run_config": config["ops"],
        "db": 7,
        "instance": instance,
        "assets_def": looking,
    }
    assert instance.get_run_by_id(result.run_id).is_success


def test_resources_are_only_those_required():
    @dg.asset(required_resource_keys={"db"})
    def looking(context):
        assert not hasattr(context.resources, "other")
        return context.resources.other

    with pytest.raises(dg.UnknownResourceError, match="it has db") as caught:
        dg.materialize([looking], resources={"db": 7, "other": 8})
    assert caught.value.resource_key == "other"


def test_values_of_other_assets_are_loaded_on_demand():
    @dg.asset
    def up():
        return 5

    @dg.asset(deps=[up])
    def down(context):
        return context.load_asset_value(up.key) + context.load_asset_value("up")

    assert dg.materialize([up, down]).asset_value("down") == 10


def test_the_log_tells_levels_arguments_and_exceptions():
    @dg.asset
    def talking(context):
        context.log.debug("quiet %s", 1)
        try:
            int("inside")
        except ValueError:
            context.log.exception("went wrong")
        context.log.info("does not fit %d", "x")

    messages = dg.materialize([talking]).all_log_messages
    assert [one.event_specific_data.level for one in messages] == [
        logging.DEBUG,
        logging.ERROR,
        logging.INFO,
    ]
    assert messages[0].message == "quiet 1"
    assert messages[1].message.startswith("went wrong\nTraceback")
    assert messages[1].message.endswith("'inside'")
    assert "does not fit" in messages[2].message


def test_what_is_logged_in_ones_own_process_reaches_logging(caplog):
    @dg.asset
    def talking(context):
        context.log.info("%d rows", 3)
        context.log.debug("quiet")

    caplog.set_level("INFO", "atoll.context")
    dg.materialize([talking])
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "talking: 3 rows")
    ]


def test_logged_events_belong_to_the_step():
    @dg.asset
    def telling(context):
        context.log_event(dg.AssetObservation("other", metadata={"n": 1}))
        with pytest.raises(dg.InvariantViolationError, match="'text'"):
            context.log_event("text")

    instance = dg.Instance.ephemeral()
    result = dg.materialize([telling], instance=instance)
    (record,) = instance.fetch_observations(dg.AssetKey("other"), limit=5).records
    assert record.run_id == result.run_id
    assert record.event_log_entry.step_key == "telling"


def test_wrong_names_are_refused():
    @dg.asset
    def looking(context, up):
        assert context.asset_key_for_input("up") == dg.AssetKey("up")
        with pytest.raises(dg.InvariantViolationError, match="'x'"):
            context.asset_key_for_input("x")
        with pytest.raises(dg.InvariantViolationError, match="'x'"):
            context.add_output_metadata({}, output_name="x")
        with pytest.raises(dg.InvariantViolationError, match="'x'"):
            context.add_asset_metadata({}, asset_key="x")

    @dg.asset
    def up(): ...

    assert dg.materialize([up, looking]).success
