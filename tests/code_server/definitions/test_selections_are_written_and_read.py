import hypothesis
import pytest
from hypothesis import strategies as st

import atoll as dg
from atoll._selections import expressions

S = dg.AssetSelection
read = S.from_string

A, B, C = S.keys("a"), S.keys("b"), S.keys("c")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a", A),
        ("  a ", A),
        ('"a"', A),
        ("key : a", A),
        ("((key:a))", A),
        ("raw/a-1.x", S.keys("raw/a-1.x")),
        ("key:2024_sales", S.keys("2024_sales")),
        (r'key:"a\/b"', S.keys(["a/b"])),
        (r'key:"stars\*"', S.keys("stars*")),
        (r'group:"say \"hi\" \\ "', S.groups('say "hi" \\ ')),
        ("group:'single'", S.groups("single")),
        ("a or b and c", A | (B & C)),
        ("(a or b) and c", (A | B) & C),
        ("not a or b", (S.all() - A) | B),
        ("a and not b", A - B),
        ("a and not b and c", (A - B) & C),
        ("a and (not b)", A & (S.all() - B)),
        ("a AND Not b Or c", (A - B) | C),
        ("not not a", S.all() - (S.all() - A)),
        ("+key:a", A.upstream()),
        ("key:a+", A.downstream()),
        ("+key:a+", A.upstream() | A.downstream()),
        ("1+key:a", A.upstream(1)),
        ("key:a+2", A.downstream(2)),
        ("2+key:a+1", A.upstream(2) | A.downstream(1)),
        ("key : a + 2", A.downstream(2)),
        ("+(a or b)", (A | B).upstream()),
        ("1+roots(a)+", A.roots().upstream(1) | A.roots().downstream()),
        ("*+", S.all().downstream()),
        # Without a field, each plus is a step and a star is all of them.
        ("+a", A.upstream(1)),
        ("++a", A.upstream(2)),
        ("a+", A.downstream(1)),
        ("*a", A.upstream()),
        ("a*", A.downstream()),
        ("*a++", A.upstream() | A.downstream(2)),
        ("+a or b", A.upstream(1) | B),
        ("sinks(a+)", A.downstream(1).sinks()),
        ("sources(a)", A.roots()),
        ("tag:k=v", S.tag("k", "v")),
        ('tag:"k"="v w"', S.tag("k", "v w")),
        ("tag:k", S.tag("k", "")),
        ('owner:"team:x"', S.owner("team:x")),
        ("owner:a@b.c", S.owner("a@b.c")),
        ("owner:<null>", S.owner(None)),
        ("kind:<null>", S.kind(None)),
        ("group:<null>", S.groups()),
        ("group:and", S.groups("and")),
        ('check:"a/b:fits"', S.checks(dg.AssetCheckKey(["a", "b"], "fits"))),
        ("with_sources(group:g and not a)", S.groups("g", include_sources=True) - A),
        ("with_sources(*) or *", S.all(include_sources=True) | S.all()),
        ("a and not all_asset_checks()", A.without_checks()),
    ],
)
def test_how_a_selection_is_read(text, meaning):
    assert read(text) == meaning


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("", 1, "nothing to read"),
        ("key:", 5, "a value for key:, got the end"),
        ("a b", 3, "expected 'and', 'or' or the end, got 'b'"),
        ("a ad b", 3, "got 'ad'"),
        ("a, b", 2, "Write 'or'"),
        ("a or", 5, "got the end"),
        ("and", 1, "got 'and'"),
        ("(a", 1, "has no end"),
        ("a)", 2, "closes nothing"),
        ("(a b)", 4, "got 'b'"),
        ("()", 2, "got ')'"),
        ('key:"a', 5, "has no end"),
        ("owner:team:x", 11, "needs quotes"),
        ("shape:round", 1, "no field 'shape'"),
        ("shape(a)", 1, "no function 'shape'"),
        ("1+a", 1, "needs a field before the key. Write 1+key"),
        ("a or b+2", 8, "Write key:...+2"),
        ("++key:a", 2, "Write 2+key"),
        ("raw/*", 1, 'Write key:"raw/*"'),
        ("r*w", 1, 'Write key:"r*w"'),
        ("key:a//b", 5, "is no key"),
        ("check:fits", 7, "is no key"),
        ("group:a=b", 8, "only tag: and column_tag: take"),
        ("tag:<null>", 5, "takes no <null>"),
        ("a < b", 3, "means nothing here"),
        ("a+b", 3, "got 'b'"),
        ("a\nand or", 7, "got 'or'"),
        ("(" * 101 + "a" + ")" * 101, 102, "nested more than 100"),
        ("not " * 101 + "a", 405, "nested more than 100"),
    ],
)
def test_what_cannot_be_read_is_refused_at_its_column(text, column, told):
    with pytest.raises(dg.InvalidAssetSelectionError, match="cannot be read") as caught:
        read(text)
    assert (caught.value.text, caught.value.column) == (text, column)
    assert told in str(caught.value)


def test_the_error_points_at_the_place():
    with pytest.raises(dg.InvalidAssetSelectionError) as caught:
        read("group:g\n  and nor key:a")
    assert str(caught.value).splitlines()[-2:] == ["    and nor key:a", "            ^"]


@pytest.mark.parametrize(
    ("selection", "text"),
    [
        (S.all(), "*"),
        (S.keys("a", "p/b"), 'key:"a" or key:"p/b"'),
        (S.keys(), "group:<null>"),
        (S.all() - A, 'not key:"a"'),
        ((A | C).upstream(1, include_self=False), f"1+({A | C}) and not ({A | C})"),
        (S.keys("a").upstream().downstream(), '(+key:"a")+'),
        ((A | B) & (S.groups("g", "h") - S.tag("k", "v")), None),
        (S.groups("g", include_sources=True), 'with_sources(group:"g")'),
        (A.upstream() | B.downstream(), '+key:"a" or key:"b"+'),
    ],
)  # fmt: skip
def test_how_a_selection_is_written(selection, text):
    if text is not None:
        assert selection.to_selection_str() == text
    assert read(selection.to_selection_str()) == selection


def test_a_part_is_put_into_parentheses_where_it_needs_them():
    assert (A & B).needs_parentheses_when_operand()
    assert (A & B).operand_to_selection_str() == '(key:"a" and key:"b")'
    assert A.operand_to_selection_str() == 'key:"a"'


# Backslashes that end a part of a key cannot be told from the escape of a slash.
_PARTS = st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"]), min_size=1)
_KEYS = st.lists(_PARTS, min_size=1, max_size=3).map(dg.AssetKey)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":"), min_size=1)
_LEAVES = st.one_of(
    st.builds(S.all, include_sources=st.booleans()),
    st.lists(_KEYS, max_size=3).map(lambda keys: S.keys(*keys)),
    st.builds(S.groups, _TEXTS, _TEXTS, include_sources=st.booleans()),
    st.builds(S.tag, _TEXTS, _TEXTS, include_sources=st.booleans()),
    st.builds(S.owner, st.none() | _TEXTS),
    st.builds(S.kind, st.none() | _TEXTS, include_sources=st.booleans()),
    st.builds(S.key_prefixes, st.lists(_PARTS, min_size=1), include_sources=st.booleans()),
    st.builds(S.key_substring, _TEXTS, include_sources=st.booleans()),
    st.lists(_TEXTS, min_size=2, max_size=4).map(
        lambda pieces: S(expressions.KeyPattern(tuple(pieces)))
    ),
    st.builds(dg.AssetCheckKey, _KEYS, _NAMES).map(S.checks),
    st.just(S.all_asset_checks()),
    st.builds(
        expressions.HostAttribute,
        st.sampled_from([one for one in expressions.HOST_FIELDS if one != "column_tag"]),
        st.none() | _TEXTS,
    ).map(S),
    st.builds(expressions.HostAttribute, st.just("column_tag"), _TEXTS, st.none() | _TEXTS).map(S),
)
_DEPTHS = st.none() | st.integers(0, 30)


def _combined(parts):
    return st.one_of(
        st.builds(lambda one, other: one | other, parts, parts),
        st.builds(lambda one, other: one & other, parts, parts),
        st.builds(lambda one, other: one - other, parts, parts),
        st.builds(S.upstream, parts, _DEPTHS, st.booleans()),
        st.builds(S.downstream, parts, _DEPTHS, st.booleans()),
        st.builds(
            lambda part, function: S(expressions.Applied(function, part.expression)),
            parts,
            st.sampled_from(expressions.Function),
        ),
        st.builds(S.without_checks, parts),
        st.lists(parts, max_size=4).map(S.from_coercible),
    )


@pytest.mark.slow
@hypothesis.settings(deadline=None, max_examples=200)
@hypothesis.given(st.recursive(_LEAVES, _combined, max_leaves=12))
def test_a_selection_that_is_written_and_read_is_the_same(selection):
    assert read(selection.to_selection_str()) == selection


@hypothesis.given(st.text(alphabet="ab:+*()=\"'\\ ,<>ornotkey1", max_size=20))
def test_any_text_is_read_or_refused_at_a_column(text):
    selection, column = None, 0
    try:
        selection = read(text)
    except dg.InvalidAssetSelectionError as error:
        column = error.column
    if selection is None:
        assert 1 <= column <= len(text) + 1
    else:
        assert read(selection.to_selection_str()) == selection
