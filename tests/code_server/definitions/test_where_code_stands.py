"""Assets tell where their code stands, and the places become links to a repository."""

from pathlib import Path

import pytest

import atoll as dg

KEY = "atoll/code_references"
HERE = Path(__file__)


@dg.asset
def written_here():
    return 1


LINE = written_here.source.line
REPOSITORY = dg.AnchorBasedFilePathMapping(HERE, "tests/places.py")


def places(asset) -> list:
    spec = asset if isinstance(asset, dg.AssetSpec) else asset.get_asset_spec()
    return list(spec.metadata[KEY].code_references)


def linked(url: str, **options) -> dg.UrlCodeReference:
    [asset] = dg.link_code_references_to_git(
        dg.with_source_code_references([written_here]), url, "main", REPOSITORY, **options
    )
    [place] = places(asset)
    return place


def test_an_asset_tells_the_line_of_its_function():
    [asset] = dg.with_source_code_references([written_here])
    assert places(asset) == [dg.LocalFileCodeReference(file_path=str(HERE), line_number=LINE)]
    assert KEY not in written_here.get_asset_spec().metadata


def test_asking_twice_tells_it_once():
    once = dg.with_source_code_references([written_here])
    assert len(places(dg.with_source_code_references(once)[0])) == 1


def test_references_that_users_gave_stay_before_it():
    page = dg.UrlCodeReference(url="https://example.com/wiki", label="wiki")

    @dg.asset(metadata={KEY: dg.CodeReferencesMetadataValue(code_references=[page])})
    def documented():
        return 1

    found = places(dg.with_source_code_references([documented])[0])
    assert [each.source for each in found[:1]] == ["https://example.com/wiki"]
    assert len(found) == 2


def test_specs_without_a_function_stay_as_they_are():
    spec = dg.AssetSpec("external")
    assert dg.with_source_code_references([spec]) == [spec]


@pytest.mark.parametrize(
    ("url", "options", "link"),
    [
        ("https://github.com/o/r", {}, "https://github.com/o/r/tree/main/tests/places.py"),
        ("https://github.com/o/r.git/", {}, "https://github.com/o/r/tree/main/tests/places.py"),
        ("https://gitlab.com/o/r", {}, "https://gitlab.com/o/r/-/tree/main/tests/places.py"),
        (
            "https://git.example.com/o/r",
            {"platform": "gitlab"},
            "https://git.example.com/o/r/-/tree/main/tests/places.py",
        ),
    ],
)
def test_files_become_links(url, options, link):
    assert linked(url, **options).url == f"{link}#L{LINE}"


@pytest.mark.parametrize("options", [{}, {"platform": "svn"}])
def test_a_platform_that_is_not_known_is_refused(options):
    with pytest.raises(dg.InvalidDefinitionError, match="platform"):
        linked("https://example.com/o/r", **options)


def test_files_outside_the_repository_stay_files():
    outside = dg.LocalFileCodeReference(file_path="/elsewhere/a.py")
    page = dg.UrlCodeReference(url="https://example.com")
    value = dg.CodeReferencesMetadataValue(code_references=[outside, page])
    spec = dg.AssetSpec("external", metadata={KEY: value})
    [same] = dg.link_code_references_to_git([spec], "https://github.com/o/r", "main", REPOSITORY)
    assert places(same) == [outside, page]


def test_files_beside_the_anchor_stand_beside_it_in_the_repository():
    mapped = REPOSITORY.convert_to_source_control_path(HERE.parent / "sub" / "other.py")
    assert mapped == "tests/sub/other.py"
