import pickle

import pytest

import atoll as dg
from atoll import _records as records
from atoll import errors
from atoll._definitions import events, raised


def _caught(raise_):
    with pytest.raises(BaseException) as info:  # noqa: PT011 - any exception will do
        raise_()
    return info.value


def _copied(value):
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


def _raise(error):
    raise error


def test_an_exception_keeps_type_message_frames_and_causes():
    def fail():
        try:
            _ = {}["missing"]
        except KeyError as error:
            raise ValueError("outer") from error

    info = raised.describe(_caught(fail))
    assert (info.type, info.message) == ("ValueError", "outer")
    assert info.frames[-1].function == "fail"
    assert info.frames[-1].source.startswith("raise ValueError")
    assert info.cause is not None
    assert (info.cause.type, info.cause.message) == ("KeyError", "'missing'")
    assert "KeyError" in info.to_string()
    assert info.to_string().endswith("ValueError: outer")


def test_context_counts_unless_it_is_suppressed():
    def implicit():
        try:
            _raise(KeyError("a"))
        except KeyError:
            raise ValueError("b")  # noqa: B904 - the point

    def suppressed():
        try:
            _raise(KeyError("a"))
        except KeyError:
            raise ValueError("b") from None

    assert raised.describe(_caught(implicit)).cause is not None
    assert raised.describe(_caught(suppressed)).cause is None


def test_a_circle_of_causes_ends():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    info = raised.describe(one)
    assert info.cause is not None
    assert info.cause.cause is None


def test_an_exception_that_cannot_be_shown_is_still_told():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError

    info = raised.describe(Broken())
    assert "RuntimeError" in info.message
    assert info.type.endswith("Broken")


def test_the_metadata_of_a_failure_is_kept():
    info = raised.describe(dg.Failure("bad rows", metadata={"rows": 3}))
    assert info.message == "bad rows"
    assert info.metadata == {"rows": dg.IntMetadataValue(3)}


def test_what_atoll_wrapped_is_unwrapped():
    wrapped = errors.UserCodeExecutionError("around")
    wrapped.__cause__ = KeyError("x")
    assert raised.user_failure(wrapped).type == "KeyError"
    assert wrapped.user_exception is wrapped.__cause__


def test_an_error_of_atoll_itself_keeps_its_stack():
    info = raised.describe(_caught(lambda: raised.describe(None)))
    assert info.frames


def test_what_atoll_raises_for_users_says_it_all_without_a_stack():
    @dg.asset
    def reads(never_there): ...

    failure = dg.materialize([reads], raise_on_error=False).failure_data_for_node("reads")
    assert failure is not None
    assert (failure.type, failure.frames) == ("atoll.ValueNotFoundError", ())


def test_errors_have_the_names_that_users_know():
    class Own(Exception): ...

    assert raised.describe(dg.InvalidConfigError("wrong", (), None)).type == (
        "atoll.InvalidConfigError"
    )
    assert raised.describe(ValueError()).type == "ValueError"
    assert raised.describe(Own()).type.startswith(f"{__name__}.")


def test_records_compare_hash_and_travel():
    one = events.StepOutputData("result", {"a": dg.IntMetadataValue(1)})
    assert one == events.StepOutputData(
        output_name="result", metadata={"a": dg.IntMetadataValue(1)}
    )
    assert one != events.StepOutputData("other")
    assert events.RunCancelingData("x") != events.RunStartingData("x")
    assert _copied(one) == one
    assert hash(one) == hash(_copied(one))
    assert repr(events.StepSuccessData(1.5)) == "StepSuccessData(duration_ms=1.5, usage=None)"


@pytest.mark.parametrize(
    "wrong",
    [
        events.StepSuccessData,
        lambda: events.StepSuccessData(1.0, None, 2.0),
        lambda: events.StepSuccessData(1.0, duration_ms=2.0),
        lambda: events.StepSuccessData(took=2.0),
    ],
)
def test_records_refuse_what_does_not_fit(wrong):
    with pytest.raises(TypeError):
        wrong()


def test_records_are_frozen():
    record = events.StepSuccessData(1.0)
    with pytest.raises(AttributeError):
        record.duration_ms = 2.0
    with pytest.raises(AttributeError):
        del record.duration_ms
    assert records.Record.record_fields == ()
