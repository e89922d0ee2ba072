import importlib
import sys
import textwrap
import types

import pytest

import atoll as dg
from atoll._definitions.loading import prefixing

can_be_rekeyed = pytest.mark.skipif(
    not hasattr(dg.AssetsDefinition, "with_attributes"), reason="keys of assets cannot change yet"
)


class Checks:
    """What evaluates checks, as far as loading looks at it."""

    check_specs = ()
    check_keys = ()

    def __init__(self, *keys):
        self.check_keys = [dg.AssetCheckKey.from_user_string(key) for key in keys]

    def with_attributes(self, *, asset_key_replacements):
        return Checks(
            *(
                key.replace_asset_key(asset_key_replacements[key.asset_key]).to_user_string()
                for key in self.check_keys
            )
        )


@dg.asset
def up(): ...


@dg.asset(key_prefix="own", group_name="g", owners=["team:x"])
def down(up, elsewhere): ...


@dg.asset(deps=["raw"])
def third(): ...


RAW = dg.AssetSpec("raw")
FRESH = Checks("up:fresh")
JOB = dg.define_asset_job("job", [up])


@dg.sensor()
def watching(): ...


def _module(name, **contents):
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    return module


FIRST = _module("first", up=up, alias=up, listed=[down, RAW], number=1, fresh=FRESH, job=JOB)
SECOND = _module("second", up=up, third=third, watching=watching)


def _keys(assets):
    return [one.key.to_user_string() for one in assets]


def test_assets_of_modules_are_loaded_once_in_their_order():
    assert dg.load_assets_from_modules([FIRST, SECOND]) == [up, down, third]


def test_bare_specs_are_loaded_where_they_are_wanted():
    loaded = dg.load_assets_from_modules([FIRST, SECOND], include_specs=True)
    assert loaded == [up, down, RAW, third]


def test_assets_are_put_into_a_group():
    loaded = dg.load_assets_from_modules([SECOND], group_name="loaded", owners=["team:y"])
    assert [(one.specs[0].group_name, one.specs[0].owners) for one in loaded] == [
        ("loaded", ("team:y",)),
        ("loaded", ("team:y",)),
    ]
    assert up.specs[0].group_name is None


def test_owners_are_given_to_those_that_name_none():
    loaded = dg.load_assets_from_modules([FIRST], owners=["team:y"])
    assert [one.specs[0].owners for one in loaded] == [("team:y",), ("team:x",)]


def test_an_asset_of_another_group_is_refused_with_its_line():
    with pytest.raises(dg.InvalidDefinitionError, match=r"'own/down'.*'g'.*'other'") as caught:
        dg.load_assets_from_modules([FIRST], group_name="other")
    assert (caught.value.problems[0].file, caught.value.problems[0].line > 0) == (__file__, True)


def test_one_key_defined_twice_is_refused_with_both_modules():
    @dg.asset(name="up")
    def up_again(): ...

    @dg.asset(name="third")
    def third_again(): ...

    again = _module("again", up_again=up_again, third_again=third_again)
    with pytest.raises(dg.InvalidDefinitionError, match="2 problems") as caught:
        dg.load_assets_from_modules([FIRST, SECOND, again])
    assert len(caught.value.problems) == 2
    told = str(caught.value)
    for part in ("'up' is defined 2 times", "'third' is defined", "in first", "in again", __file__):
        assert part in told


@pytest.mark.parametrize(
    "load",
    [
        dg.load_assets_from_modules,
        dg.load_asset_checks_from_modules,
        dg.load_definitions_from_modules,
    ],
)
@pytest.mark.parametrize("wrong", [FIRST, "first", ["first"]])
def test_what_is_no_list_of_modules_is_refused(load, wrong):
    with pytest.raises(dg.InvalidDefinitionError, match=r"imported modules, got .*first"):
        load(wrong)


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="shape"):
        dg.load_assets_from_modules([FIRST], shape="round")


def test_bare_specs_get_their_prefix_and_dependencies_follow():
    ext, other = dg.AssetSpec("ext"), dg.AssetSpec("other", deps=["ext", "unknown"])
    loaded = dg.load_assets_from_modules(
        [_module("specs", ext=ext, other=other)], include_specs=True, source_key_prefix=["s", "t"]
    )
    assert _keys(loaded) == ["s/t/ext", "s/t/other"]
    assert [dep.asset_key.to_user_string() for dep in loaded[1].deps] == ["s/t/ext", "unknown"]
    assert [dep.asset_key.to_user_string() for dep in other.deps] == ["ext", "unknown"]


@can_be_rekeyed
def test_assets_get_their_prefix_and_dependencies_follow():
    loaded = dg.load_assets_from_modules(
        [FIRST, SECOND], key_prefix="p", source_key_prefix="s", include_specs=True
    )
    assert _keys(loaded) == ["p/up", "p/own/down", "s/raw", "p/third"]
    specs = [one if isinstance(one, dg.AssetSpec) else one.get_asset_spec() for one in loaded]
    deps = [sorted(dep.asset_key.to_user_string() for dep in spec.deps) for spec in specs]
    assert deps == [[], ["elsewhere", "p/up"], [], ["s/raw"]]


def test_an_asset_is_told_all_new_keys_that_may_concern_it():
    class Rekeyed:
        keys = (dg.AssetKey("a"),)

        def with_attributes(self, *, asset_key_replacements):
            return {
                old.to_user_string(): new.to_user_string()
                for old, new in asset_key_replacements.items()
            }

    given = [Rekeyed(), RAW]
    new = {"a": "p/a", "raw": "s/t/raw"}
    assert prefixing.prefixed(given, "p", ["s", "t"]) == [
        new,
        RAW.replace_attributes(key=["s", "t", "raw"]),
    ]
    assert prefixing.prefixed(given, "p")[1] == RAW
    assert prefixing.prefixed(given) == given


def test_what_cannot_change_its_keys_says_so():
    with pytest.raises(dg.UnsupportedParameterError, match="object cannot take key_prefix"):
        prefixing.with_attributes(object(), key_prefix="p")


def test_asset_checks_are_loaded_and_prefixed():
    assert dg.load_asset_checks_from_modules([FIRST, SECOND]) == [FRESH]
    (moved,) = dg.load_asset_checks_from_modules([FIRST], asset_key_prefix="p")
    assert [key.to_user_string() for key in moved.check_keys] == ["p/up:fresh"]


def test_one_check_defined_twice_is_refused():
    again = _module("again", same=Checks("up:fresh"))
    with pytest.raises(dg.InvalidDefinitionError, match="'up:fresh' is defined 2 times"):
        dg.load_asset_checks_from_modules([FIRST, again])


def test_everything_that_a_module_defines_becomes_definitions():
    defs = dg.Definitions(jobs=[dg.define_asset_job("hidden", "*")])
    module = _module("m", up=up, raw=RAW, job=JOB, watching=watching, defs=defs)
    loaded = dg.load_definitions_from_module(module, resources={"r": 1})
    assert (list(loaded.assets), list(loaded.jobs)) == ([up, RAW], [JOB])
    assert (list(loaded.sensors), loaded.resources) == ([watching], {"r": 1})
    several = dg.load_definitions_from_modules([module, SECOND])
    assert list(several.assets) == [up, third, RAW]


def test_the_calling_module_is_found():
    assert dg.load_assets_from_current_module()[:3] == [up, down, third]
    assert dg.load_asset_checks_from_current_module() == [FRESH]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Write a package, and forget it afterwards."""

    def write(**files):
        root = tmp_path / "shop"
        for name, text in {"__init__": "", **files}.items():
            path = root.joinpath(*name.split("__of__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


ASSET = """
import atoll as dg
@dg.asset
def {0}(): ...
"""


def test_every_module_of_a_package_is_imported(package):
    package(
        __init__=ASSET.format("top"),
        sales=ASSET.format("orders"),
        deep__of____init__="",
        deep__of__inner=ASSET.format("inner") + "from shop.sales import orders\n",
        __main__="raise SystemExit('a script')",
    )
    assert _keys(dg.load_assets_from_package_name("shop")) == ["top", "inner", "orders"]
    module = sys.modules["shop"]
    assert _keys(dg.load_assets_from_package_module(module)) == ["top", "inner", "orders"]
    assert _keys(dg.load_definitions_from_package_module(module).assets) == [
        "top",
        "inner",
        "orders",
    ]
    assert dg.load_asset_checks_from_package_name("shop") == []
    assert dg.load_asset_checks_from_package_module(module) == []


def test_all_imports_that_fail_are_told_with_their_lines(package):
    package(
        broken="x = 1\n1 / 0\n",
        fine=ASSET.format("fine"),
        garbled="def :\n",
        missing="import no_such_module_anywhere\n",
    )
    with pytest.raises(dg.ModuleImportError, match="3 modules of 'shop'") as caught:
        dg.load_definitions_from_package_name("shop")
    error = caught.value
    assert list(error.failures) == ["shop.broken", "shop.garbled", "shop.missing"]
    places = [(one.file.rpartition("/")[2], one.line) for one in error.problems]
    assert places == [("broken.py", 2), ("garbled.py", 1), ("missing.py", 1)]
    for part in ("ZeroDivisionError", "SyntaxError", "no_such_module_anywhere", "'shop.garbled'"):
        assert part in str(error)
    # The user's own traceback is there, to the line that failed.
    cause = error.__cause__
    assert isinstance(cause, ZeroDivisionError)
    assert cause is error.failures["shop.broken"]
    assert cause.__traceback__ is not None


def test_a_package_that_cannot_be_imported_itself_is_told(package):
    package(__init__="raise ValueError('not today')\n")
    with pytest.raises(dg.ModuleImportError, match=r"'shop' cannot be imported.*not today"):
        dg.load_assets_from_package_name("shop")


def test_a_module_is_no_package():
    with pytest.raises(dg.InvalidDefinitionError, match="'first' is a module, not a package"):
        dg.load_assets_from_package_module(FIRST)


def test_the_calling_module_may_define_more_later(package):
    package(
        __init__="""
        import atoll as dg

        @dg.asset
        def early(): ...

        defs = dg.load_definitions_from_current_module()

        @dg.asset
        def late(): ...
        """
    )
    shop = importlib.import_module("shop")
    assert list(shop.defs.assets) == [shop.early]
