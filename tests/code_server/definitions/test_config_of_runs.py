import pytest

import atoll as dg
from atoll._definitions import run_config


class Small(dg.Config):
    n: int
    token: str = "t"


class ResourceLike:
    """What objects of resource classes have in common."""

    def to_run_config(self):
        return {"url": "u"}


def test_every_section_takes_objects():
    typed = dg.RunConfig(
        ops={"a": Small(n=1), "b": {"config": Small(n=2)}, "c": {"config": {"k": dg.EnvVar("K")}}},
        resources={"db": ResourceLike(), "other": {"config": {"x": (1, 2)}}, "s": Small(n=3)},
        loggers={"console": {"config": {"log_level": "INFO"}}, "mine": Small(n=4)},
        execution={"config": {"multiprocess": {"max_concurrent": 2}}},
    )
    assert typed.to_config_dict() == {
        "ops": {
            "a": {"config": {"n": 1, "token": "t"}},
            "b": {"config": {"n": 2, "token": "t"}},
            "c": {"config": {"k": {"env": "K"}}},
        },
        "resources": {
            "db": {"config": {"url": "u"}},
            "other": {"config": {"x": [1, 2]}},
            "s": {"config": {"n": 3, "token": "t"}},
        },
        "loggers": {
            "console": {"config": {"log_level": "INFO"}},
            "mine": {"config": {"n": 4, "token": "t"}},
        },
        "execution": {"config": {"multiprocess": {"max_concurrent": 2}}},
    }


@pytest.mark.parametrize(
    "nested",
    [
        dg.RunConfig(ops={"inner": dg.RunConfig(ops={"op": Small(n=1)})}),
        {"ops": {"inner": {"ops": {"op": Small(n=1)}}}},
        {"ops": {"inner": {"ops": {"op": {"config": {"n": 1, "token": "t"}}}}}},
    ],
)
def test_graphs_within_graphs(nested):
    plain = {"graph": {"ops": {"inner": {"ops": {"op": {"config": {"n": 1, "token": "t"}}}}}}}
    assert dg.RunConfig(ops={"graph": nested}).to_config_dict()["ops"] == plain
    assert run_config.to_plain({"ops": {"graph": nested}}) == {"ops": plain}


def test_equal_configs_are_equal():
    assert dg.RunConfig(ops={"a": Small(n=1)}) == dg.RunConfig(ops={"a": Small(n=1)})
    assert dg.RunConfig(ops={"a": Small(n=1)}) != dg.RunConfig(ops={"a": Small(n=2)})
    assert dg.RunConfig() == dg.RunConfig(ops=None, resources=None, loggers=None, execution={})


def test_a_section_that_is_no_dict_is_refused():
    with pytest.raises(dg.InvalidConfigError, match="loggers"):
        dg.RunConfig(loggers=3)


def test_the_plain_form_is_new():
    ops = {"a": {"config": {"k": [1]}}}
    run_config.to_plain({"ops": ops})["ops"]["a"]["config"]["k"].append(2)
    assert ops == {"a": {"config": {"k": [1]}}}
