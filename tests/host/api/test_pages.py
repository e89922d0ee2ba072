"""Pages are bounded, and their tokens belong to one call with one set of filters."""

import datetime as dt

import pytest

from atoll.api.v1 import assets_pb2, runs_pb2
from atoll_host import errors
from atoll_host.api import pages


def test_a_token_leads_to_the_position_it_was_made_for():
    token = pages.Page(runs_pb2.ListRunsRequest(job_name="j")).token("2026-01-01", "r1")
    page = pages.Page(runs_pb2.ListRunsRequest(job_name="j", page_token=token, page_size=7))
    assert page.after == ["2026-01-01", "r1"]
    assert page.size == 7


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1000, 1000), (5000, 1000)])
def test_sizes_are_bounded(asked, given):
    assert pages.Page(runs_pb2.ListRunsRequest(page_size=asked)).size == given


def test_a_negative_size_is_refused():
    with pytest.raises(errors.InvalidRequest, match="-1"):
        pages.Page(runs_pb2.ListRunsRequest(page_size=-1))


@pytest.mark.parametrize("token", ["x", "!!!", "AAAA", "Zm9vYmFyYmF6Zm9vYmFyYmF6", "é"])
def test_a_token_that_was_not_made_here_is_refused(token):
    with pytest.raises(errors.InvalidPageToken):
        pages.Page(runs_pb2.ListRunsRequest(page_token=token))


def test_a_token_of_other_filters_or_of_another_call_is_refused():
    token = pages.Page(runs_pb2.ListRunsRequest(job_name="j")).token("a")
    with pytest.raises(errors.InvalidPageToken):
        pages.Page(runs_pb2.ListRunsRequest(job_name="k", page_token=token))
    with pytest.raises(errors.InvalidPageToken):
        pages.Page(assets_pb2.ListAssetsRequest(page_token=token))


def test_a_token_that_was_changed_is_refused():
    token = pages.Page(runs_pb2.ListRunsRequest()).token("abc")
    changed = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    with pytest.raises(errors.InvalidPageToken):
        pages.Page(runs_pb2.ListRunsRequest(page_token=changed))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_pages_of_sorted_keys_show_each_once(count):
    keys = [("east", str(number)) for number in range(count)]
    token, seen = "", []
    for _ in range(count // 2 + 1):
        page = pages.Page(assets_pb2.ListAssetsRequest(page_size=2, page_token=token))
        shown, token = page.of_sorted(keys)
        assert len(shown) <= 2
        seen += shown
        if not token:
            break
    assert seen == keys
    assert not token


def test_a_page_of_sorted_keys_goes_on_where_its_key_is_gone():
    _, token = pages.Page(assets_pb2.ListAssetsRequest(page_size=1)).of_sorted([("b",), ("c",)])
    page = pages.Page(assets_pb2.ListAssetsRequest(page_size=1, page_token=token))
    assert page.of_sorted([("a",), ("c",)]) == ([("c",)], "")


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_pages_with_the_newest_first_show_each_once(count):
    made = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    entries = [(made - dt.timedelta(seconds=number), f"r{number}") for number in range(count)]
    token, seen = "", []
    for _ in range(count // 2 + 1):
        page = pages.Page(runs_pb2.ListRunsRequest(page_size=2, page_token=token))
        left = [each for each in entries if page.before is None or each < page.before]
        shown, token = page.fitting(
            left[: page.size + 1], lambda each: (each[0].isoformat(), each[1])
        )
        seen += shown
        if not token:
            break
    assert seen == entries
    assert not token


def test_the_first_page_is_after_nothing():
    page = pages.Page(runs_pb2.ListRunsRequest())
    assert (page.after_id, page.after_name, page.before) == (0, "", None)
    token = page.token(17)
    assert pages.Page(runs_pb2.ListRunsRequest(page_token=token)).after_id == 17
