import pytest

import atoll as dg
from atoll._definitions import op_selection

# src feeds a and other; a feeds b, b feeds c; c and other feed e.
GRAPH = {
    "src": [],
    "a": ["src"],
    "other": ["src"],
    "b": ["a"],
    "c": ["b"],
    "e": ["c", "other"],
}


@pytest.mark.parametrize(
    ("clauses", "names"),
    [
        (["a"], "a"),
        ([" b "], "b"),
        (["*b"], "src a b"),
        (["+b"], "a b"),
        (["++b"], "src a b"),
        (["b+"], "b c"),
        (["b++"], "b c e"),
        (["b*"], "b c e"),
        (["*b*"], "src a b c e"),
        (["+b+"], "a b c"),
        (["*+b"], "src a b"),
        (["a", "c"], "a c"),
        (["c", "a"], "a c"),
        (["a*", "src"], "src a b c e"),
        (["*"], "src a other b c e"),
        ([], "src a other b c e"),
    ],
)
def test_what_a_selection_of_ops_means(clauses, names):
    assert op_selection.resolve(clauses, GRAPH) == names.split()


def test_everything_that_does_not_fit_is_told_at_once():
    with pytest.raises(dg.InvalidSubsetError) as caught:
        op_selection.resolve(["nope*", "a", "a,b", "a b", "+nix"], GRAPH)
    for part in ("'nope', 'nix'", "'a,b', 'a b'", "a, b, c, e, other, src"):
        assert part in str(caught.value)


def test_a_single_string_is_no_list():
    with pytest.raises(dg.InvalidSubsetError, match="brackets"):
        op_selection.resolve("abc", GRAPH)
