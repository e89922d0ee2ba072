"""Run configuration is checked without running anything."""

import pytest

import atoll as dg


class Store(dg.ConfigurableResource):
    name: str


@dg.op(config_schema={"n": int, "text": dg.Field(str, default_value="d")})
def made(context, store: Store): ...


@dg.job(resource_defs={"store": Store.configure_at_launch()})
def only():
    made()


OPS = {"made": {"config": {"n": 1}}}
RESOURCES = {"store": {"config": {"name": "s"}}}


def test_what_fits_is_returned_with_all_sections():
    found = dg.validate_run_config(only, {"ops": OPS, "resources": RESOURCES})
    assert found == {"ops": OPS, "resources": RESOURCES, "execution": {}, "loggers": {}}
    assert dg.validate_run_config(only, dg.RunConfig(ops=OPS, resources=RESOURCES)) == found


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ({"resources": RESOURCES}, ("ops", "made", "config")),
        ({"ops": {"made": {"config": {"n": "x"}}}, "resources": RESOURCES}, None),
        ({"ops": {**OPS, "zz": {}}, "resources": RESOURCES}, ("ops", "zz")),
        ({"ops": OPS}, ("resources", "store", "config")),
        ({"ops": OPS, "resources": {"store": {"config": {"name": 3}}}}, None),
        ({"ops": OPS, "resources": RESOURCES, "loggers": {"zz": {}}}, ("loggers", "zz")),
        ({"ops": OPS, "resources": RESOURCES, "zz": {}}, ("zz",)),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(config, path):
    with pytest.raises(dg.InvalidConfigError) as caught:
        dg.validate_run_config(only, config)
    if path is not None:
        assert tuple(caught.value.path)[: len(path)] == path


def test_the_config_of_the_job_counts_where_none_is_given():
    with_config = only.graph.to_job(resource_defs={"store": Store(name="s")}, config={"ops": OPS})
    assert dg.validate_run_config(with_config)["ops"] == OPS
