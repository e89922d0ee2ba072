import pytest

import atoll as dg


@dg.asset(group_name="g")
def one(): ...


@dg.asset(key_prefix="p")
def two(): ...


EXTERNAL = dg.AssetSpec("ext", group_name="g")
ALL = [one, two, EXTERNAL]


def _names(selection):
    chosen = dg.AssetSelection.from_coercible(selection).resolve(ALL)
    return {key.to_user_string() for key in chosen}


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("*", {"one", "p/two", "ext"}),
        ("one", {"one"}),
        ("p/two", {"p/two"}),
        ("key:p/two", {"p/two"}),
        ('key:"p/two"', {"p/two"}),
        ("group:g", {"one", "ext"}),
        ("group:default", {"p/two"}),
        ("group:unknown", set()),
        (dg.AssetKey(["p", "two"]), {"p/two"}),
        (one, {"one"}),
        ([one, "p/two"], {"one", "p/two"}),
        ([dg.AssetKey("one")], {"one"}),
        (dg.AssetSelection.groups("g") - dg.AssetSelection.keys("ext"), {"one"}),
        (dg.AssetSelection.groups("g") & dg.AssetSelection.assets(one), {"one"}),
        (dg.AssetSelection.keys("one") | dg.AssetSelection.keys("p/two"), {"one", "p/two"}),
        (dg.AssetSelection.all(), {"one", "p/two", "ext"}),
    ],
)
def test_what_a_selection_means(selection, names):
    assert _names(selection) == names


def test_an_unknown_key_is_an_error_that_names_the_known_ones():
    with pytest.raises(dg.InvalidSubsetError, match=r"'onne'.*'one'"):
        _names("onne")


@pytest.mark.parametrize("text", ["+one", "one+", "a or b", "tag:x", "", "key:"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(dg.InvalidSubsetError, match="cannot be read"):
        _names(text)


def test_what_is_no_selection_is_refused():
    with pytest.raises(dg.InvalidDefinitionError, match="42"):
        dg.AssetSelection.from_coercible(42)
