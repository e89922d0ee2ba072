"""What users ask of jobs, ops, graphs and definitions without running them."""

import datetime as dt

import pytest

import atoll as dg


@dg.op(config_schema={"size": int})
def sized(context) -> int:
    return context.op_config["size"]


@dg.op
def add_one(number: int) -> int:
    return number + 1


@dg.graph
def adding():
    return add_one(sized())


def test_nodes_have_names():
    job = adding.to_job(config={"ops": {"sized": {"config": {"size": 1}}}})
    assert [one.name for one in job.nodes] == ["sized", "add_one"]
    assert job.has_node_named("sized")
    assert not job.has_node_named("nope")
    assert job.node_def_named("add_one") is add_one
    with pytest.raises(dg.InvariantViolationError, match=r"no node 'nope'.*sized, add_one"):
        job.get_node_named("nope")


def test_inputs_and_outputs_have_names():
    assert [one.name for one in add_one.input_defs] == ["number"]
    assert set(add_one.output_dict) == {"result"}
    assert add_one.has_input("number")
    assert not add_one.has_output("number")
    assert add_one.input_def_named("number").name == "number"


def test_an_op_configured_in_code_needs_no_configuration():
    three = sized.configured({"size": 3}, name="three")

    @dg.job
    def job():
        three()

    assert job.execute_in_process().output_for_node("three") == 3


@dg.static_partitioned_config(
    partition_keys=["a", "b"], tags_for_partition_key_fn=lambda key: {"k": key}
)
def by_key(partition_key: str):
    return {"ops": {"sized": {"config": {"size": len(partition_key)}}}}


def test_a_partitioned_job_makes_requests_for_its_partitions():
    job = adding.to_job(name="adding_job", config=by_key)
    assert job.get_partition_keys() == ["a", "b"]
    request = job.run_request_for_partition("b", run_key="r", tags={"x": "1"})
    assert (request.job_name, request.partition_key, request.run_key) == ("adding_job", "b", "r")
    assert request.run_config == {"ops": {"sized": {"config": {"size": 1}}}}
    assert request.tags == {"k": "b", "x": "1", "atoll/partition": "b"}
    with pytest.raises(dg.UnknownPartitionError, match="nope"):
        job.run_request_for_partition("nope")


def test_a_job_without_partitions_says_so():
    with pytest.raises(dg.InvariantViolationError, match="'adding' has no partitions"):
        adding.to_job().get_partition_keys()


def test_run_config_is_checked_without_running():
    job = adding.to_job()
    good = {"ops": {"sized": {"config": {"size": 1}}}}
    assert dg.validate_run_config(job, good)["ops"] == good["ops"]
    with pytest.raises(dg.InvalidConfigError, match="size"):
        dg.validate_run_config(job, {"ops": {"sized": {"config": {"size": "many"}}}})


@dg.asset
def orders() -> int:
    return 1


@dg.asset_check(asset=orders)
def some(orders: int) -> bool:
    return orders > 0


def test_definitions_tell_their_checks():
    defs = dg.Definitions(assets=[orders], asset_checks=[some])
    assert defs.get_asset_checks_def(some.check_key) is some
    with pytest.raises(dg.InvalidSubsetError, match="orders:other"):
        defs.get_asset_checks_def(dg.AssetCheckKey(dg.AssetKey("orders"), "other"))


def test_further_resources_replace_those_of_the_same_key():
    defs = dg.Definitions(assets=[orders], resources={"a": 1, "b": 1}).with_resources({"b": 2})
    assert defs.resources == {"a": 1, "b": 2}
    assert defs.assets == (orders,)


def test_a_freshness_policy_is_kept_with_the_asset():
    policy = dg.FreshnessPolicy.time_window(dt.timedelta(hours=24), dt.timedelta(hours=12))
    (spec,) = dg.apply_freshness_policy(orders, policy).specs
    assert spec.freshness_policy == policy
    other = dg.FreshnessPolicy.cron("0 9 * * *", dt.timedelta(hours=1), "Europe/Berlin")
    kept = dg.apply_freshness_policy(spec, other, overwrite_existing=False)
    assert kept.freshness_policy == policy


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: dg.FreshnessPolicy.time_window(dt.timedelta(seconds=1)), "at least a minute"),
        (
            lambda: dg.FreshnessPolicy.time_window(dt.timedelta(hours=1), dt.timedelta(hours=2)),
            "cannot warn after",
        ),
        (lambda: dg.FreshnessPolicy.cron("nonsense", dt.timedelta(hours=1)), "nonsense"),
        (lambda: dg.FreshnessPolicy.cron("0 9 * * *", dt.timedelta(0)), "lower_bound_delta"),
    ],
)
def test_a_freshness_policy_that_cannot_be_is_told(make, told):
    with pytest.raises(dg.InvalidDefinitionError, match=told):
        make()
