import pytest

import atoll as dg
from atoll._definitions.selections import deferred
from atoll._selections import graph as graphs
from tests.code_server.definitions import selectable

S = dg.AssetSelection


@dg.asset(group_name="g")
def one(): ...


@dg.asset(key_prefix="p")
def two(): ...


EXTERNAL = dg.AssetSpec("ext", group_name="g")
ALL = [one, two, EXTERNAL]


def _names(selection):
    chosen = S.from_coercible(selection).resolve(ALL)
    return {key.to_user_string() for key in chosen}


def test_a_selection_is_resolved_against_the_graph_of_a_location():
    graph = dg.Definitions(assets=ALL).resolve_asset_graph()
    assert S.groups("g", include_sources=True).resolve(graph) == {one.key, EXTERNAL.key}


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("*", {"one", "p/two"}),
        ("one", {"one"}),
        ("p/two", {"p/two"}),
        ("ext", {"ext"}),
        ("key:p/two", {"p/two"}),
        ('key:"p/two"', {"p/two"}),
        ('key:"p/*"', {"p/two"}),
        ("group:g", {"one"}),
        ("group:default", {"p/two"}),
        ("group:unknown", set()),
        (dg.AssetKey(["p", "two"]), {"p/two"}),
        (one, {"one"}),
        ([one, "p/two"], {"one", "p/two"}),
        ([dg.AssetKey("one")], {"one"}),
        ([], set()),
        (["group:g", S.keys("ext")], {"one", "ext"}),
        (S.groups("g", include_sources=True) - S.keys("ext"), {"one"}),
        (S.groups("g") & S.assets(one), {"one"}),
        (S.keys("one") | S.keys("p/two"), {"one", "p/two"}),
        (S.keys(["p", "two"]), {"p/two"}),
        (S.all(), {"one", "p/two"}),
        (S.all(include_sources=True), {"one", "p/two", "ext"}),
        (S.from_string("*", include_sources=True), {"one", "p/two", "ext"}),
    ],
)
def test_what_a_selection_means(selection, names):
    assert _names(selection) == names


def test_an_unknown_key_is_an_error_that_names_the_known_ones():
    with pytest.raises(dg.InvalidSubsetError, match=r"'onne'.*'one'"):
        _names("onne")


def test_an_unknown_key_is_passed_over_where_it_may_be_missing():
    assert S.keys("one", "onne").resolve(ALL, allow_missing=True) == {one.key}


def test_what_is_no_selection_is_refused():
    with pytest.raises(dg.InvalidDefinitionError, match="42"):
        S.from_coercible(42)


def test_where_only_specs_are_known_each_counts_as_materializable():
    known = {EXTERNAL.key: EXTERNAL}
    assert S.all().resolve_specs(known) == {EXTERNAL.key}
    assert S.from_string("group:g").resolve_specs(known) == {EXTERNAL.key}


# A richer graph: a < b < c, an observable asset, one that nobody makes, and two of one function.

GRAPH = selectable.graph(
    selectable.Maker(selectable.spec("a", owners=["team:x"], tags={"k": "v", "e": ""})),
    selectable.Maker(selectable.spec("b < a obs", kinds={"sql"}), checks=["b:inside"]),
    "raw/c < b stub",
    selectable.Maker("obs", materializable=False, observable=True),
    selectable.spec("ext", owners=["team:x"], tags={"k": "v"}, kinds={"sql"}),
    selectable.Maker("m1 < ext", "m2", checks=["m1:fits"]),
    selectable.Maker("s1", "s2", can_subset=True),
    checks=["a:fresh", "b:full"],
)


def _chosen(selection):
    return " ".join(sorted(key.to_user_string() for key in selection.resolve(GRAPH)))


def _checks(selection):
    return " ".join(sorted(key.to_user_string() for key in selection.resolve_checks(GRAPH)))


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (S.owner("team:x"), "a ext"),
        (S.owner(None), "b m1 m2 obs raw/c s1 s2 stub"),
        (S.tag("k", "v"), "a"),
        (S.tag("k", "v", include_sources=True), "a ext"),
        (S.tag("k", ""), ""),
        (S.tag_string("k=v"), "a"),
        (S.tag_string("e"), "a"),
        (S.kind("sql"), "b"),
        (S.kind("sql", include_sources=True), "b ext"),
        (S.kind(None), "a m1 m2 raw/c s1 s2"),
        (S.key_prefixes("raw", "a"), "a raw/c"),
        (S.key_prefixes(["raw", "c"]), "raw/c"),
        (S.key_prefixes("ra"), ""),
        (S.key_prefixes("ext", include_sources=True), "ext"),
        (S.key_prefixes(), ""),
        (S.key_substring("w/"), "raw/c"),
        (S.key_substring("b"), "b"),
        (S.key_substring("b", include_sources=True), "b obs stub"),
        (S.from_string('key:"*b*"'), "b obs stub"),
        (S.from_string("key_prefix:raw or key_substring:m"), "m1 m2 raw/c"),
        (S.groups(), ""),
        (S.keys("raw/c").upstream(), "a b raw/c"),
        (S.keys("raw/c").upstream(1), "b raw/c"),
        (S.keys("raw/c").upstream(0), "raw/c"),
        (S.keys("b", "raw/c").upstream(include_self=False), "a"),
        (S.keys("a").downstream(), "a b raw/c"),
        (S.keys("a").downstream(1, include_self=False), "b"),
        (S.keys("obs").downstream(), "b obs raw/c"),
        (S.keys("m1").upstream(), "m1"),
        (S.keys("a", "raw/c").roots(), "a"),
        (S.keys("a", "raw/c").sources(), "a"),
        (S.keys("a", "raw/c").sinks(), "raw/c"),
        (S.all().roots(), "a m1 m2 s1 s2"),
        (S.all(include_sources=True).roots(), "a ext m2 obs s1 s2 stub"),
        (S.keys("b", "raw/c", "m1").upstream_source_assets(), "ext obs stub"),
        (S.all(include_sources=True).materializable(), "a b m1 m2 raw/c s1 s2"),
        (S.keys("m1", "s1", "a").required_multi_asset_neighbors(), "a m1 m2 s1"),
        (S.keys("a", "b") & S.keys("b", "raw/c"), "b"),
        (S.owner("team:x") - S.keys("a"), "ext"),
        (S.all() - S.groups("default"), ""),
        (S.from_string('owner:"team:x" and not a'), "ext"),
        (S.from_string("not owner:<null>"), "a"),
    ],
)
def test_what_attributes_and_dependencies_select(selection, names):
    assert _chosen(selection) == names


@pytest.mark.parametrize(
    ("selection", "assets", "checks"),
    [
        (S.all(), "a b m1 m2 raw/c s1 s2", "a:fresh b:full b:inside m1:fits"),
        (S.keys("a"), "a", "a:fresh"),
        (S.keys("raw/c").upstream(1), "b raw/c", "b:full b:inside"),
        (S.all_asset_checks(), "", "a:fresh b:full b:inside m1:fits"),
        (S.checks(dg.AssetCheckKey("b", "full")), "", "b:full"),
        (S.checks(selectable.Maker(checks=["a:fresh"])), "", "a:fresh"),
        (S.checks(), "", ""),
        (S.from_coercible(["raw/c", selectable.Maker(checks=["a:fresh"])]), "raw/c", "a:fresh"),
        (S.checks_for_assets("a", dg.AssetKey("m1")), "", "a:fresh m1:fits"),
        (S.keys("a", "b").without_checks(), "a b", ""),
        (S.keys("a", "b") - S.checks(dg.AssetCheckKey("b", "full")), "a b", "a:fresh b:inside"),
        (S.keys("raw/c") | S.checks(dg.AssetCheckKey("b", "full")), "raw/c", "b:full"),
        (S.keys("a", "b") & S.all_asset_checks(), "", "a:fresh b:full b:inside"),
        (S.keys("a") - S.keys("a"), "", ""),
    ],
)
def test_assets_bring_their_checks_and_checks_can_be_named(selection, assets, checks):
    assert (_chosen(selection), _checks(selection)) == (assets, checks)


def test_an_unknown_check_is_an_error_that_names_the_known_ones():
    with pytest.raises(dg.InvalidSubsetError, match=r"'a:stale'.*'a:fresh'"):
        S.checks(dg.AssetCheckKey("a", "stale")).resolve_checks(GRAPH)


@pytest.mark.parametrize("text", ["status:FAILED", "column:id", "table_name:<null>", "job:nightly"])
def test_what_only_the_host_knows_is_read_and_then_says_who_can_tell(text):
    selection = S.from_string(text)
    assert selection.to_selection_str().startswith(text.partition(":")[0])
    with pytest.raises(dg.InvalidAssetSelectionError, match="Only the host"):
        selection.resolve(GRAPH)


def test_a_graph_that_knows_its_location_answers_for_it():
    from_here = S.from_string("code_location:here")
    with pytest.raises(dg.InvalidAssetSelectionError, match="Only the host"):
        from_here.resolve(GRAPH)
    placed = selectable.spec_graph.of_definitions([one], location_name="here")
    assert from_here.resolve(placed) == {one.key}
    assert S.from_string("code_location:there").resolve(placed) == set()


def test_part_of_what_is_made_together_is_refused_by_naming_the_rest():
    keys = S.keys("m1", "s1", "a").resolve(GRAPH)
    with pytest.raises(dg.InvalidSubsetError, match="m1 without m2, which one function"):
        deferred.refuse_partial_units(GRAPH, keys)
    complete = S.keys("m1", "s1", "a").required_multi_asset_neighbors()
    deferred.refuse_partial_units(GRAPH, complete.resolve(GRAPH), complete.resolve_checks(GRAPH))


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (S.keys("b").without_checks(), "b without check b:inside"),
        (S.checks(dg.AssetCheckKey("b", "inside")), "check b:inside without b"),
        (S.keys("m2"), "m2 without m1, check m1:fits"),
    ],
)
def test_checks_inside_of_an_asset_belong_to_it(selection, told):
    with pytest.raises(dg.InvalidSubsetError, match=told):
        deferred.refuse_partial_units(
            GRAPH, selection.resolve(GRAPH), selection.resolve_checks(GRAPH)
        )


def test_a_depth_below_zero_is_refused():
    with pytest.raises(dg.InvalidDefinitionError, match="-1"):
        S.all().upstream(-1)


class _Counted(graphs.SelectableGraph):
    """A chain of assets that counts what is asked about them."""

    def __init__(self, size):
        self.specs = {
            dg.AssetKey(f"a{i}"): selectable.spec(f"a{i} < a{i - 1}" if i else "a0")
            for i in range(size)
        }
        self.questions = 0

    @property
    def assets(self):
        return self.specs

    @property
    def check_keys_by_asset(self):
        return {}

    def upstream_of(self, key):
        self.questions += 1
        return [dep.asset_key for dep in self.specs[key].deps]

    def is_materializable(self, key):
        self.questions += 1
        return True

    def is_observable(self, key):
        return False

    def unit_of(self, key):
        return None


@pytest.mark.parametrize(
    "text",
    [
        "+key:a999",
        "key:a0+",
        "sinks(*)",
        "roots(group:default and not key:a0)",
        "+(key:a500 or key:a700)+ and not +(key:a500 or key:a700)+",
        "+key:a999 and +key:a998 and +key:a997",
    ],
)
def test_the_time_to_resolve_grows_with_the_graph_only(text):
    graph = _Counted(1000)
    S.from_string(text).resolve(graph)
    assert graph.questions <= 5 * 1000
    once = graph.questions
    S.from_string("sinks(*) or group:default").resolve(graph)
    # Indexes are kept: only the walk is new.
    assert graph.questions <= once + 2 * 1000
