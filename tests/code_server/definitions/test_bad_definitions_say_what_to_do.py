"""Definitions that cannot be: each is told with the value that is wrong and with what to do.

Where a mistake shows while the decorator runs, Python's own traceback tells the line; what shows
only in the whole of the definitions is told with file and line.
"""

import pathlib

import pytest

import atoll as dg

FILE = pathlib.Path(__file__).name


class Numbered(dg.Config):
    n: int


class Store(dg.ConfigurableResource):
    name: str = "s"


@dg.op
def one():
    return 1


@dg.op
def add_one(x):
    return x + 1


@dg.asset
def plain():
    return 1


def _asset(name, **options):
    return dg.asset(name=name, **options)(lambda: 1)


def _check(name="c", **options):
    return dg.asset_check(name=name, **options)(lambda: dg.AssetCheckResult(passed=True))


def _job_of(op, **options):
    @dg.job(name="made", **options)
    def made():
        op()

    return made


def _needing(**options):
    return dg.op(name="needing", **options)(lambda context: 1)


def _with_store():
    @dg.asset
    def stored(store: Store):
        return store.name

    return stored


def _configured(kind):
    if kind == "op":

        @dg.op
        def made(config: Numbered): ...

    else:

        @dg.asset
        def made(config: Numbered): ...

    return made


BAD_CONFIG = {"ops": {"made": {"config": {"n": "x"}}}}

WHOLE = {
    "a circle of assets": (
        lambda: {"assets": [_asset("a", deps=["b"]), _asset("b", deps=["a"])]},
        ["circle: ", "a -> b", "Take one of the dependencies away"],
    ),
    "a circle through a blocking check": (
        lambda: {
            "assets": [_asset("a"), _asset("b", deps=["a"])],
            "asset_checks": [_check(asset="a", blocking=True, additional_deps=["b"])],
        },
        ["circle: ", "a_c -> b -> a_c", "Take one"],
    ),
    "two assets of one key": (
        lambda: {"assets": [_asset("a"), _asset("a")]},
        ["'a' is defined 2 times", "first at", "Keep one of them"],
    ),
    "an asset and a spec of one key": (
        lambda: {"assets": [_asset("a"), dg.AssetSpec("a")]},
        ["'a' is defined 2 times", "Keep one"],
    ),
    "two checks of one name": (
        lambda: {"assets": [_asset("a")], "asset_checks": [_check(asset="a"), _check(asset="a")]},
        ["'a:c' is defined 2 times", "Rename all but one"],
    ),
    "two jobs of one name": (
        lambda: {"jobs": [_job_of(one), _job_of(one)]},
        ["2 jobs with the name 'made'", "Rename all but one"],
    ),
    "a selection of what is not there": (
        lambda: {"assets": [plain], "jobs": [dg.define_asset_job("made", ["zz"])]},
        ["names 'zz'", "They hold 'plain'"],
    ),
    "a part of a multi-asset": (
        lambda: {
            "assets": [
                dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("b")], name="m")(lambda: None)
            ],
            "jobs": [dg.define_asset_job("made", ["a"])],
        },
        ["takes a without b", "can_subset=True"],
    ),
    "config of a job that does not fit": (
        lambda: {"jobs": [_job_of(_configured("op"), config=BAD_CONFIG)]},
        ["job 'made'", "ops/made/config/n", "'x'"],
    ),
    "config of an asset job that does not fit": (
        lambda: {
            "assets": [_configured("asset")],
            "jobs": [dg.define_asset_job("job", config=BAD_CONFIG)],
        },
        ["job 'job'", "ops/made/config/n", "'x'"],
    ),
    "config of an op that is not there": (
        lambda: {"jobs": [_job_of(one, config={"ops": {"zz": {"config": {}}}})]},
        ["no op 'zz'", "it has one"],
    ),
    "a missing resource of an asset": (
        lambda: {"assets": [_with_store()]},
        ["'stored' needs the resource 'store'", "Definitions(resources={'store': ...})"],
    ),
    "a missing resource of an op": (
        lambda: {"jobs": [_job_of(_needing(required_resource_keys={"db"}))]},
        ["'made' needs the resource 'db'", "Definitions(resources={'db': ...})"],
    ),
    "a missing IO manager": (
        lambda: {"assets": [_asset("a", io_manager_key="bucket")]},
        ["'a' needs the resource 'bucket'", "Definitions(resources={'bucket': ...})"],
    ),
    "a missing resource of a hook": (
        lambda: {
            "jobs": [
                _job_of(
                    one,
                    hooks={dg.success_hook(required_resource_keys={"slack"})(lambda _: None)},
                )
            ]
        },
        ["needs the resource 'slack'", "Definitions(resources={'slack': ...})"],
    ),
    "a function among the assets": (
        lambda: {"assets": [_configured]},
        ["_configured of type function stands among the assets", "decorated with @asset"],
    ),
    "an op among the assets": (
        lambda: {"assets": [one]},
        ["one of type OpDefinition stands among the assets", "decorated with @asset"],
    ),
    "an asset among the jobs": (
        lambda: {"jobs": [plain]},
        ["plain of type AssetsDefinition stands among the jobs", "decorated with @job"],
    ),
    "an asset among the checks": (
        lambda: {"asset_checks": [plain]},
        ["stands among the asset_checks and evaluates no check", "Give it among the assets"],
    ),
    "a sensor of a job that is not there": (
        lambda: {"sensors": [dg.sensor(name="s", job_name="zz")(lambda: None)]},
        ["'s' targets the job 'zz'", "They hold none"],
    ),
}


@pytest.mark.parametrize("what", WHOLE)
def test_what_is_wrong_with_the_whole_is_told_with_its_line(what):
    make, words = WHOLE[what]
    defs = dg.Definitions(**make())
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        defs.validate_loadable()
    (line,) = str(caught.value).splitlines()[:1]
    assert [word for word in words if word not in line] == []
    place, number = line.split(": ", 1)[0].rsplit(":", 1)
    assert (pathlib.Path(place).name, number.isdigit()) == (FILE, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sensors": ["x"]}, ["'x' of type str", "decorated with @sensor"]),
        ({"loggers": {"a": 3}}, ["3 of type int", "as 'a'", "decorated with @logger"]),
        ({"resources": [1]}, ["[1] of type list", "by resource key, as a dict"]),
        ({"assets": plain}, ["AssetsDefinition('plain')", "Put it into brackets"]),
    ],
)
def test_what_has_no_line_is_told_with_its_value(options, words):
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        dg.Definitions(**options).validate_loadable()
    assert [word for word in words if word not in str(caught.value)] == []


def _graph(**dependencies):
    return dg.GraphDefinition("g", node_defs=[one, add_one], dependencies=dependencies)


def _composed(compose):
    return lambda: dg.graph(name="g")(compose)


PARTS = {
    "a circle of ops": (
        lambda: _graph(
            add_one={"x": dg.DependencyDefinition("add_one")},
        ),
        ["'g'", "circle: add_one -> add_one", "Take one of the dependencies away"],
    ),
    "a node that is not there": (
        lambda: _graph(add_one={"x": dg.DependencyDefinition("zz")}),
        ["'g' name the node 'zz'", "it has add_one, one"],
    ),
    "an input that is not there": (
        lambda: _graph(add_one={"y": dg.DependencyDefinition("one")}),
        ["'add_one' has no input 'y'", "it has x"],
    ),
    "an output that is not there": (
        lambda: _graph(add_one={"x": dg.DependencyDefinition("one", "zz")}),
        ["'one' has no output 'zz'", "it has result"],
    ),
    "a value in a graph": (_composed(lambda: add_one(5)), ["given 5 of type int", "use config"]),
    "an op that is not called": (_composed(lambda: add_one(one)), ["Call it, one()"]),
    "too many inputs": (_composed(lambda: add_one(one(), one())), ["takes 1: x"]),
    "an input by a wrong name": (_composed(lambda: add_one(y=one())), ["input 'y'", "it has x"]),
    "an alias twice": (
        _composed(lambda: (one.alias("a")(), one.alias("a")())[0]),
        ["two nodes called 'a'", "another alias"],
    ),
    "a graph that returns a value": (_composed(lambda: 5), ["returned 5", "output of a node"]),
    "a graph that returns its input": (
        _composed(lambda x: x),
        ["returned the input 'x' of the graph", "Return the output of a node"],
    ),
    "an input of a graph that nobody takes": (
        _composed(lambda x: one()),
        ["passes its input 'x' to no node", "take the parameter away"],
    ),
    "an output that is unpacked": (
        _composed(lambda: dict(zip("ab", one(), strict=True))),
        ["'one' has one output here", "Give the op several outputs"],
    ),
    "a name with a blank": (lambda: dg.op(name="a b")(lambda: 1), ["'a b'", "letters, digits"]),
    "an op of no function": (lambda: dg.op(5), ["got 5", "@op(name=...)"]),
    "ins that are types": (
        lambda: dg.op(name="o", ins={"x": int})(lambda x: x),
        ["ins of the op 'o' got int", "In(...)"],
    ),
    "an out that is a type": (lambda: dg.op(out=int)(lambda: 1), ["got int", "Out(int)"]),
    "ins of no parameter": (
        lambda: dg.op(name="o", ins={"zz": dg.In(int)})(lambda: 1),
        ["name zz", "In(Nothing)"],
    ),
    "a retry policy that is a number": (
        lambda: dg.op(name="o", retry_policy=3)(lambda: 1),
        ["retry_policy of the op 'o' got 3", "a RetryPolicy"],
    ),
    "negative retries": (lambda: dg.RetryPolicy(max_retries=-1), ["0 or more, got -1"]),
    "backoff without a delay": (
        lambda: dg.RetryPolicy(backoff=dg.Backoff.LINEAR),
        ["needs a delay", "Give delay="],
    ),
    "hooks that are none": (lambda: _job_of(one, hooks={3}), ["'made' got 3", "@success_hook"]),
    "nodes that are none": (
        lambda: dg.GraphDefinition("g", node_defs=[5]),
        ["node_defs of the graph 'g' got 5", "ops and graphs"],
    ),
    "parameters without names": (
        lambda: dg.op(name="o")(lambda *values: values),
        ["'o'", "*values", "one by one"],
    ),
    "config without a class": (
        lambda: dg.op(name="o")(lambda config: config),
        ["'config'", "'o'", "subclass of Config"],
    ),
    "an asset of its own value": (
        lambda: dg.asset(name="a", ins={"x": dg.AssetIn("a")})(lambda x: x),
        ["'a' takes its own value", "TimeWindowPartitionMapping"],
    ),
    "ins of an asset of no parameter": (
        lambda: dg.asset(name="a", ins={"zz": dg.AssetIn("b")})(lambda: 1),
        ["'zz'", "name the asset in deps"],
    ),
    "a multi-asset of one key twice": (
        lambda: dg.multi_asset(specs=[dg.AssetSpec("a"), dg.AssetSpec("a")], name="m")(
            lambda: None
        ),
        ["'m' makes the asset 'a' twice", "Rename one"],
    ),
}


@pytest.mark.parametrize("what", PARTS)
def test_what_is_wrong_with_a_part_is_told_where_it_is_defined(what):
    make, words = PARTS[what]
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == []
    assert any(frame.path.name == FILE for frame in caught.traceback)


class Broken(dg.IOManager):
    def handle_output(self, context, obj):
        raise OSError("disk full")

    def load_input(self, context):
        raise OSError("gone")


def test_an_io_manager_that_raises_is_named():
    @dg.asset
    def made():
        return 1

    with pytest.raises(OSError, match="disk full") as caught:
        dg.materialize([made], resources={"io_manager": Broken()})
    (note,) = caught.value.__notes__
    assert "'io_manager' could not store" in note


def test_an_io_manager_that_cannot_load_is_named():
    @dg.asset
    def below(plain): ...

    with pytest.raises(OSError, match="gone") as caught:
        dg.materialize([plain, below], selection=[below], resources={"io_manager": Broken()})
    (note,) = caught.value.__notes__
    assert "'io_manager' could not load" in note


@pytest.mark.parametrize(("step", "doing"), [("plain", "store"), ("below", "load")])
def test_the_failure_of_a_step_names_the_io_manager(step, doing):
    @dg.asset
    def below(plain): ...

    options = {"selection": [step], "resources": {"io_manager": Broken()}}
    result = dg.materialize([plain, below], raise_on_error=False, **options)
    failure = result.failure_data_for_node(step)
    assert f"The IO manager 'io_manager' could not {doing}" in failure.message
    assert failure.cause.message in ("disk full", "gone")
    with pytest.raises(OSError, match=failure.cause.message):
        dg.materialize([plain, below], **options)


def test_a_resource_whose_teardown_raises_is_named_and_fails_nothing():
    @dg.resource
    def db(_context):
        yield 1
        raise ValueError("close")

    made = _job_of(_needing(required_resource_keys={"db"}), resource_defs={"db": db})
    result = made.execute_in_process()
    (told,) = result.filter_events(dg.EventType.ENGINE_EVENT)
    assert result.success
    assert told.message == "The resource 'db' could not be closed: ValueError."
    assert told.failure.message == "close"
