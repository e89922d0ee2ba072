"""One place makes resources ready and closes them: each once, in order, and always."""

import pydantic
import pytest

import atoll as dg
from atoll._definitions.resources import needs
from atoll._execution import resource_scope


class Trace:
    """What happened, in order."""

    def __init__(self):
        self.told = []
        self.events = []
        self.reported = []

    def around(self):
        return resource_scope.Surroundings(
            tell=lambda kind, _message, data: self.events.append((kind.value, data)),
            report=lambda key, error: self.reported.append((key, str(error))),
        )

    def resource(self, name, needs=(), fails="", close_error=None):
        @dg.resource(required_resource_keys=set(needs))
        def made(context):
            self.told.append(f"+{name}")
            if fails:
                raise ValueError(fails)
            yield name
            self.told.append(f"-{name}")
            if close_error is not None:
                raise close_error

        return made

    def open(self, objects, keys, config=None):
        return resource_scope.open_resources(objects, keys, config, self.around())


@pytest.fixture
def trace():
    return Trace()


def test_each_is_made_ready_once_after_those_that_it_needs(trace):
    objects = {
        "a": trace.resource("a", ["b", "c"]),
        "b": trace.resource("b", ["c"]),
        "c": trace.resource("c"),
        "unused": trace.resource("unused"),
    }
    with trace.open(objects, ["a", "c"]) as ready:
        assert trace.told == ["+c", "+b", "+a"]
        assert dict(ready) == {"a": "a", "b": "b", "c": "c"}
    assert trace.told == ["+c", "+b", "+a", "-a", "-b", "-c"]
    assert resource_scope.required_closure(objects, ["a"]) == ("c", "b", "a")


def test_what_is_ready_is_closed_when_a_later_one_fails(trace):
    objects = {
        "a": trace.resource("a"),
        "b": trace.resource("b", fails="no luck"),
        "c": trace.resource("c"),
    }
    with pytest.raises(dg.ResourceFunctionError, match="'b'") as caught, trace.open(objects, "abc"):
        pytest.fail("never ready")
    assert caught.value.resource_key == "b"
    assert str(caught.value.user_exception) == "no luck"
    assert trace.told == ["+a", "+b", "-a"]
    assert [kind for kind, _ in trace.events] == ["RESOURCE_INIT_STARTED", "RESOURCE_INIT_FAILURE"]
    assert trace.events[-1][1].failure.message == "no luck"


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_they_are_closed_however_the_work_ended(trace, error):
    objects = {"a": trace.resource("a"), "b": trace.resource("b")}
    with pytest.raises(error), trace.open(objects, ["a", "b"]):
        raise error
    assert trace.told == ["+a", "+b", "-b", "-a"]


def test_an_error_while_closing_is_reported_and_fails_nothing(trace):
    objects = {
        "a": trace.resource("a"),
        "b": trace.resource("b", close_error=ValueError("stuck")),
        "c": trace.resource("c", close_error=SystemExit("left")),
    }
    with trace.open(objects, ["a", "b", "c"]):
        pass
    assert trace.told[3:] == ["-c", "-b", "-a"]
    assert trace.reported == [("c", "left"), ("b", "stuck")]


def test_an_interruption_while_closing_waits_for_the_others(trace):
    objects = {"a": trace.resource("a"), "b": trace.resource("b", close_error=KeyboardInterrupt())}
    with pytest.raises(KeyboardInterrupt), trace.open(objects, ["a", "b"]):
        pass
    assert trace.told == ["+a", "+b", "-b", "-a"]


def test_without_a_callback_an_error_while_closing_is_logged(trace, caplog):
    made = trace.resource("a", close_error=ValueError("stuck"))
    with resource_scope.open_resources({"a": made}, ["a"]):
        pass
    assert "'a' could not be closed" in caplog.text


def test_events_tell_which_and_how_long(trace):
    with trace.open({"a": 1, "b": 2}, ["b", "a"]):
        pass
    kinds = [kind for kind, _ in trace.events]
    assert kinds == ["RESOURCE_INIT_STARTED", "RESOURCE_INIT_SUCCESS"]
    assert trace.events[1][1].resource_keys == ("a", "b")
    assert trace.events[1][1].duration_ms >= 0


def test_a_circle_is_told(trace):
    objects = {"a": trace.resource("a", ["b"]), "b": trace.resource("b", ["a"])}
    with (
        pytest.raises(dg.InvalidDefinitionError, match="a -> b -> a"),
        trace.open(objects, ["a"]),
    ):
        pass


def test_a_missing_one_is_told_with_who_needs_it(trace):
    with (
        pytest.raises(dg.UnknownResourceError, match="The resource 'a' requires the resource 'b'"),
        trace.open({"a": trace.resource("a", ["b"])}, ["a"]),
    ):
        pass
    assert trace.told == []


def test_nothing_required_is_nothing_done(trace):
    with trace.open({"a": trace.resource("a")}, []) as ready:
        assert not ready
    assert trace.told == trace.events == []


TOLD: list[str] = []


class Inner(dg.ConfigurableResource):
    name: str = "inner"

    def setup_for_execution(self, context):
        TOLD.append(f"+{self.name}")

    def teardown_after_execution(self, context):
        TOLD.append(f"-{self.name}")


class Outer(dg.ConfigurableResource):
    inner: Inner
    fails: bool = False

    def setup_for_execution(self, context):
        TOLD.append(f"+outer of {self.inner.name}")
        if self.fails:
            raise ValueError("no luck")

    def teardown_after_execution(self, context):
        TOLD.append("-outer")


@pytest.fixture(autouse=True)
def _nothing_told():
    TOLD.clear()


def test_resources_inside_others_are_made_ready_first(trace):
    with trace.open({"outer": Outer(inner=Inner(name="x"))}, ["outer"]) as ready:
        assert ready["outer"].inner.name == "x"
    assert TOLD == ["+x", "+outer of x", "-outer", "-x"]


def test_what_is_inside_is_closed_when_the_outer_fails(trace):
    outer = Outer(inner=Inner(), fails=True)
    with (
        pytest.raises(dg.ResourceFunctionError, match="'outer'"),
        trace.open({"outer": outer}, ["outer"]),
    ):
        pass
    assert TOLD == ["+inner", "+outer of inner", "-inner"]


def test_one_object_in_several_places_is_made_ready_once(trace):
    inner = Inner(name="shared")
    objects = {"a": Outer(inner=inner), "b": Outer(inner=inner)}
    with trace.open(objects, ["a", "b"]) as ready:
        assert ready["a"].inner is ready["b"].inner
    assert TOLD.count("+shared") == TOLD.count("-shared") == 1
    with trace.open({**objects, "inner": inner}, ["a", "inner"]) as ready:
        assert ready["a"].inner is ready["inner"]


def test_config_left_to_the_launch_reaches_the_resource_inside(trace):
    inner = Inner.configure_at_launch()
    objects = {"inner": inner, "outer": Outer(inner=inner)}
    config = {"inner": {"config": {"name": "launched"}}}
    with trace.open(objects, ["outer"], config) as ready:
        assert ready["outer"].inner.name == "launched"


class Needy(dg.ConfigurableResource):
    name: str


class Holder(dg.ConfigurableResource):
    needy: Needy


def test_config_left_to_the_launch_needs_a_key(trace):
    holder = Holder(needy=Needy.configure_at_launch())
    with (
        pytest.raises(dg.InvalidConfigError, match=r"holder\.needy.*has no key"),
        trace.open({"holder": holder}, ["holder"]),
    ):
        pass


def test_run_config_overrides_what_the_code_gives(trace):
    config = {"inner": {"config": {"name": "other"}}}
    with trace.open({"inner": Inner(name="x")}, ["inner"], config) as ready:
        assert ready["inner"].name == "other"
    with (
        pytest.raises(dg.InvalidConfigError, match="resources/inner/config/title"),
        trace.open({"inner": Inner()}, ["inner"], {"inner": {"config": {"title": "x"}}}),
    ):
        pass


def test_run_config_may_name_the_environment(trace, monkeypatch):
    monkeypatch.setenv("ATOLL_TEST_NAME", "s3cret-name")
    config = {"inner": {"config": {"name": {"env": "ATOLL_TEST_NAME"}}}}
    with trace.open({"inner": Inner()}, ["inner"], config) as ready:
        assert ready["inner"].name == "s3cret-name"
        assert "s3cret-name" not in repr(ready["inner"])
    assert "s3cret-name" not in repr(trace.events)


def test_a_resource_has_its_own_way_to_be_opened(trace):
    class Own(dg.ConfigurableResource):
        _state: str = pydantic.PrivateAttr(default="new")

        def yield_for_execution(self, context):
            self._state = "open"
            yield self
            self._state = "closed"

    with trace.open({"own": Own()}, ["own"]) as ready:
        own = ready["own"]
        assert own._state == "open"
    assert own._state == "closed"


class Counting(dg.ConfigurableIOManager):
    start: int = 0

    def handle_output(self, context, obj):
        raise NotImplementedError

    def load_input(self, context):
        return self.start

    @classmethod
    def input_config_schema(cls):
        return {"by": int}


class Factory(dg.ConfigurableIOManagerFactory[Counting]):
    start: int

    def create_io_manager(self, context):
        return Counting(start=self.start + 1)


@dg.io_manager(config_schema={"start": int}, output_config_schema={"o": int})
def counting(context):
    return Counting(start=context.resource_config["start"])


class Adapter(dg.ConfigurableLegacyIOManagerAdapter):
    start: int = 7

    @property
    def wrapped_io_manager(self):
        return counting


@pytest.mark.parametrize(
    ("manager", "loaded"),
    [
        (Counting(start=2), 2),
        (Factory(start=2), 3),
        (Adapter(), 7),
        (counting.configured({"start": 5}), 5),
        (dg.IOManagerDefinition.hardcoded_io_manager(Counting(start=4)), 4),
        (dg.input_manager(lambda context: context.name), "up"),
        (dg.input_manager(lambda: Counting(start=8)), 8),
    ],
)
def test_io_managers_are_resources(trace, manager, loaded):
    with trace.open({"io": manager}, ["io"]) as ready:
        assert ready["io"].load_input(dg.build_input_context(name="up")) == loaded


def test_io_managers_tell_the_config_of_inputs_and_outputs():
    assert Counting().get_resource_definition().input_config_schema.is_required
    assert Counting().get_resource_definition().output_config_schema is None
    assert counting.output_config_schema.is_required


def test_the_folder_of_the_default_io_manager_is_config(trace, tmp_path):
    config = {"io": {"config": {"base_dir": str(tmp_path)}}}
    for manager in (dg.fs_io_manager, dg.FilesystemIOManager("elsewhere")):
        with trace.open({"io": manager}, ["io"], config) as ready:
            assert ready["io"].base_dir == tmp_path
    with trace.open({"io": dg.FilesystemIOManager(tmp_path)}, ["io"]) as ready:
        assert ready["io"].base_dir == tmp_path


def test_all_problems_of_resources_are_told_at_once(trace):
    objects = {
        "a": trace.resource("a", ["b"]),
        "b": trace.resource("b", ["a"]),
        "c": trace.resource("c", ["gone"]),
        "holder": Holder(needy=Needy.configure_at_launch()),
        "klass": Needy,
        "fine": Inner(),
    }
    told = "\n".join(needs.problems_of(objects))
    assert len(needs.problems_of(objects)) == 4
    for part in ("a -> b -> a", "'gone'", "holder.needy", "Needy.configure_at_launch()"):
        assert part in told
    assert needs.problems_of({"fine": Inner(), "plain": 3}) == []
