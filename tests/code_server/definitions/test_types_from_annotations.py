"""Which values annotations accept, and what becomes of annotations that say nothing checkable."""

import collections.abc
import dataclasses
import enum
import inspect
import typing
from typing import Annotated, Any, Literal, NewType, Optional, Protocol, TypedDict, TypeVar, Union

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pydantic
import pytest
import typing_extensions

import atoll as dg
from atoll._definitions import types

T = TypeVar("T")
B = TypeVar("B", bound=int)
UserId = NewType("UserId", int)


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int


class Model(pydantic.BaseModel):
    x: int


class Row(TypedDict):
    id: int
    name: typing_extensions.NotRequired[str]


class Tree(TypedDict):
    children: "list[Tree]"


class Lost(TypedDict):
    x: "NowhereToBeFound"  # noqa: F821


class Plain(Protocol):
    def go(self) -> None: ...


@typing.runtime_checkable
class Checkable(Protocol):
    def go(self) -> None: ...


class Going:
    def go(self): ...


class Box(typing.Generic[T]): ...


Ids = typing_extensions.TypeAliasType("Ids", list[int])


class TypeAliasType:
    """What `type Json = list[Json] | int` makes in Python 3.12."""

    __value__ = None


Json = TypeAliasType()
Json.__value__ = list[Json] | int
EVEN = dg.Type(lambda _context, value: value % 2 == 0, name="Even")

# What each annotation accepts, and what it refuses.
CHECKED = [
    (int, [1, True], [1.5, "a", None]),
    (float, [1.5, np.float64(1)], [1, "a"]),
    (str, ["a"], [1, b"a"]),
    (bool, [True], [1]),
    (bytes, [b"a"], ["a"]),
    (None, [None], [1]),
    (type(None), [None], [1]),
    (dg.Nothing, [None], [1]),
    (dg.Int, [1], ["a"]),
    (dg.String, ["a"], [1]),
    (list, [[], [1, "a"]], [(1,), "a"]),
    (list[int], [[], [1, True]], [[1, "a"], (1,), None]),
    (list[list[int]], [[[1]]], [[["a"]], [1]]),
    (list[Any], [[1, "a"]], [(1,)]),
    (list["Undefined"], [["a"]], ["a"]),  # noqa: F821
    (dict, [{}, {1: 2}], [[]]),
    (dict[str, int], [{}, {"a": 1}], [{"a": "b"}, {1: 1}, []]),
    (dict[str, list[int]], [{"a": [1]}], [{"a": [None]}]),
    (set[int], [set(), {1}], [{"a"}, [1], frozenset({1})]),
    (frozenset[int], [frozenset({1})], [{1}, frozenset({"a"})]),
    (tuple, [(), (1, "a")], [[]]),
    (tuple[int, str], [(1, "a")], [(1,), (1, 2), (1, "a", 1), [1, "a"]]),
    (tuple[int, ...], [(), (1, 2)], [("a",), [1]]),
    (tuple[()], [()], [(1,)]),
    (collections.abc.Sequence[int], [[1], (1,), range(2)], [["a"], {1}, 1]),
    (collections.abc.Iterable[int], [[1], {1}, iter([1])], [["a"], 1]),
    (collections.abc.Mapping[str, int], [{"a": 1}, collections.Counter("a")], [{1: 1}, []]),
    (collections.deque[int], [collections.deque([1])], [collections.deque("a"), [1]]),
    (collections.abc.Iterator[int], [iter("a")], [[1]]),
    (int | None, [1, None], ["a"]),
    (Optional[int], [1, None], ["a"]),  # noqa: UP045
    (Union[int, str], [1, "a"], [None, 1.5]),  # noqa: UP007
    (int | str | None, [1, "a", None], [1.5]),
    (list[int] | dict[str, int], [[1], {"a": 1}], [["a"], {"a": "a"}]),
    (list[int | None], [[1, None]], [["a"]]),
    (Literal["a", 1], ["a", 1], ["b", True, None]),
    (Annotated[int, "metres"], [1], ["a"]),
    (Annotated[int, []], [1], ["a"]),
    (Annotated[int, EVEN], [2], [1]),
    (list[Annotated[int, EVEN]], [[2]], [[2, 1]]),
    (UserId, [1], ["a"]),
    (B, [1], ["a"]),
    (Ids, [[1]], [["a"]]),
    (Color, [Color.RED], [1]),
    (Point, [Point(1)], [{"x": 1}]),
    (Model, [Model(x=1)], [{"x": 1}]),
    (Row, [{"id": 1}, {"id": 1, "name": "a"}, {"id": 1, "more": 1}], [{}, {"id": "a"}, 1]),
    (Row, [{"id": 1}], [{"id": 1, "name": 1}]),
    (Tree, [{"children": [{"children": []}]}], [{"children": [{}]}]),
    (Lost, [{"x": 1}], [{}]),
    (type[int], [int, bool], [str, 1]),
    (collections.abc.Callable[[int], int], [len], [1]),
    (Checkable, [Going()], [1]),
    (Box, [Box()], [1]),
    (Box[int], [Box()], [1]),
    (pd.DataFrame, [pd.DataFrame()], [[], pa.table({})]),
    (pa.Table, [pa.table({})], [pd.DataFrame()]),
    (npt.NDArray[np.int64], [np.zeros(1)], [[]]),
    (dg.List[int], [[1]], [["a"], (1,)]),
    (dg.List[EVEN], [[2]], [[1]]),
    (dg.List(int), [[1]], [["a"]]),
    (dg.Dict, [{}], [[]]),
    (dg.Dict[str, EVEN], [{"a": 2}], [{"a": 1}]),
    (dg.Set[int], [{1}], [{"a"}]),
    (dg.Tuple[int, str], [(1, "a")], [(1,)]),
    (dg.Optional[EVEN], [2, None], [1]),
    (dg.Optional[dg.List[int]], [[1], None], [["a"]]),
]
IDS = [str(annotation) for annotation, _, _ in CHECKED]


@pytest.mark.parametrize(("annotation", "accepted", "refused"), CHECKED, ids=IDS)
def test_what_an_annotation_accepts(annotation, accepted, refused):
    resolved = types.resolve(annotation)
    for value in accepted:
        assert resolved.type_check(None, value) == dg.TypeCheck(success=True)
    for value in refused:
        assert not resolved.type_check(None, value).success


class Odd:
    """Something that fails at every touch."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __eq__(self, other):
        raise RuntimeError

    def __hash__(self):
        return 1


class Unhashable:
    __hash__ = None


UNCHECKABLE = [
    Any, dg.Any, T, Plain, "int", "NowhereToBeFound", inspect.Parameter.empty, Json,
    typing.ForwardRef("int"), typing.Final[int], typing.ClassVar[int], typing.NoReturn,
    typing.Self, typing.ParamSpec("P"), int | Any, Odd(), Unhashable(), [int], {}, 3, ...,
]  # fmt: skip


@pytest.mark.parametrize("annotation", UNCHECKABLE, ids=lambda one: type(one).__name__)
def test_what_cannot_be_checked_accepts_everything(annotation):
    assert types.resolve(annotation).is_any


def test_an_iterator_is_not_consumed():
    values = iter([1, 2])
    assert types.resolve(collections.abc.Iterable[str]).type_check(None, values).success
    assert list(values) == [1, 2]


def test_a_refusal_says_which_part_is_wrong():
    said = types.resolve(dict[str, list[int]]).type_check(None, {"a": [1], "b": [1, "x"]})
    assert said.description.startswith("In value 'b': In element 1: 'x' of type str is not ")


def test_the_metadata_of_a_part_is_kept():
    inner = dg.Type(lambda *_: dg.TypeCheck(success=False, metadata={"n": 1}), name="T")
    assert dg.List[inner].type_check(None, [0]).metadata == {"n": dg.MetadataValue.int(1)}


def test_an_error_of_the_check_of_a_part_is_told_once():
    def check(_context, _value):
        raise ValueError("broken")

    with pytest.raises(dg.TypeCheckError, match="'T' raised ValueError") as error:
        dg.List[dg.Type(check, name="T")].type_check(None, [1])
    assert isinstance(error.value.__cause__, ValueError)


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "Int"), (list[int], "[Int]"), (int | None, "Int?"), (list, "[Any]"), (dict, "dict"),
        (dict[str, float], "Dict[String,Float]"), (set[bool], "Set[Bool]"),
        (tuple[int, str], "Tuple[Int,String]"), (int | str, "Union[Int,String]"), (Point, "Point"),
        (Literal["a"], "Literal['a']"), (dg.List[EVEN], "[Even]"), (dg.Optional[EVEN], "Even?"),
    ],
)  # fmt: skip
def test_what_people_call_them(annotation, name):
    assert types.resolve(annotation).display_name == name


def test_classes_of_one_name_in_two_places_are_two_types():
    def make():
        class Same: ...

        return Same

    class Elsewhere:
        class Point: ...

    first, second = types.resolve(Point), types.resolve(Elsewhere.Point)
    assert first.display_name == second.display_name == "Point"
    assert first.key != second.key
    assert not first.has_unique_name


def test_the_same_annotation_is_the_same_type():
    for annotation in (int, list[int], Point, dict[str, Point], int | None):
        assert types.resolve(annotation) is types.resolve(annotation)
    assert dg.List[EVEN] is dg.List[EVEN]


def test_a_check_that_trips_over_the_other_types_of_a_union_does_not_refuse_them():
    assert types.resolve(Annotated[int, EVEN] | str).type_check(None, "odd").success
    with pytest.raises(dg.TypeCheckError, match="'Even' raised TypeError"):
        types.resolve(Annotated[int, EVEN] | str).type_check(None, [])


def test_a_literal_tells_true_from_one():
    assert not types.resolve(Literal[True]).type_check(None, 1).success
    assert types.resolve(Literal[1]).type_check(None, 1).success


def test_a_type_that_is_given_is_taken_as_it_is():
    assert types.resolve(EVEN) is EVEN
    assert types.resolve_argument(EVEN, "the input 'x'") is EVEN
    assert types.resolve_argument(None, "the input 'x'").is_any
    assert types.resolve_argument(list[int], "the input 'x'") is types.resolve(list[int])


@pytest.mark.parametrize("form", [T, Any, typing.List[int], Plain, UserId, int | str, type(None)])  # noqa: UP006
def test_whatever_can_be_an_annotation_can_be_given(form):
    assert types.resolve_argument(form, "the input 'x'") is types.resolve(form)


@pytest.mark.parametrize("wrong", ["int", 3, [int], {}, len, lambda x: x, dg.Type, object(), ...])
def test_what_is_no_type_is_refused_where_it_is_given(wrong):
    with pytest.raises(dg.InvalidDefinitionError, match=r"The type of the input 'x' is .* no type"):
        types.resolve_argument(wrong, "the input 'x'")


def test_a_generic_takes_as_many_types_as_it_has():
    with pytest.raises(dg.InvalidDefinitionError, match=r"Dict\[...\] takes 2 types, got 1"):
        dg.Dict[int]
    with pytest.raises(dg.InvalidDefinitionError, match="a part of List"):
        dg.List["int"]


def test_the_python_type_of_values_is_known():
    assert types.resolve(list[Point]).typing_type == list[Point]
    assert dg.List[int].typing_type == list[int]
    assert dg.Dict[str, int].typing_type == dict[str, int]
    assert dg.Optional[int].typing_type == Optional[int]  # noqa: UP045
    assert dg.Tuple[int, str].typing_type == tuple[int, str]
    assert types.resolve(Point).typing_type is Point


def test_many_elements_are_checked_by_their_classes_not_one_by_one():
    asked = []

    class Watching(type):
        def __instancecheck__(cls, value):
            asked.append(value)
            return True

    class Number(metaclass=Watching): ...

    assert types.resolve(list[Number]).type_check(None, [Number()] * 1_000).success
    assert asked == []
