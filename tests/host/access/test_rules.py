"""What the rules of the rpcs say of messages."""

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from hypothesis import given
from hypothesis import strategies as st

from atoll.api.v1 import access_pb2, assets_pb2, events_pb2, runs_pb2
from atoll_host import errors
from atoll_host.access import rules

NAMES = st.sampled_from(["", "a", "b", "c"])
ASSETS = rules.of_method(
    assets_pb2.DESCRIPTOR.services_by_name["AssetsService"].methods_by_name["ListAssets"]
)
WATCH = rules.of_method(
    events_pb2.DESCRIPTOR.services_by_name["EventsService"].methods_by_name["WatchEvents"]
)
TOKENS = rules.of_method(
    access_pb2.DESCRIPTOR.services_by_name["AccessService"].methods_by_name["ListTokens"]
)


@given(st.lists(st.lists(NAMES, max_size=3), max_size=6), st.sets(NAMES))
def test_a_list_keeps_in_order_exactly_what_names_something_visible(named, visible):
    answer = assets_pb2.ListAssetsResponse(next_page_token="t")
    for place, names in enumerate(named):
        answer.assets.add(owner_location_name=str(place), location_names=names)
    rules.narrow(answer, ASSETS.narrowings, lambda name: name in visible)
    kept = [int(asset.owner_location_name) for asset in answer.assets]
    assert kept == [
        place for place, names in enumerate(named) if (set(names) - {""}) & set(visible)
    ]
    assert answer.next_page_token == "t"


@given(st.lists(NAMES, max_size=6))
def test_a_message_of_a_watch_keeps_its_place_whatever_is_left_out(named):
    answer = events_pb2.WatchEventsResponse(resume_token="r")
    for place, name in enumerate(named):
        answer.events.add(id=place, location_name=name)
    rules.narrow(answer, WATCH.narrowings, lambda name: name == "a")
    assert [event.id for event in answer.events] == [i for i, x in enumerate(named) if x == "a"]
    assert answer.resume_token == "r"


def test_several_paths_through_one_list_are_looked_at_together():
    answer = access_pb2.ListTokensResponse()
    answer.tokens.add(token_id="code server", location_name="a")
    answer.tokens.add(token_id="person").grants.add(location_names=["b", "a"])
    answer.tokens.add(token_id="all").grants.add()
    answer.tokens.add(token_id="other").grants.add(location_names=["b"])
    rules.narrow(answer, TOKENS.narrowings, lambda name: name == "a")
    assert [token.token_id for token in answer.tokens] == ["code server", "person"]


def test_what_is_unset_names_nothing():
    request = events_pb2.ListEventsRequest()
    assert rules.names(request, [("filter", "location_name")]) == set()
    request.filter.location_name = "a"
    assert rules.names(request, [("filter", "location_name")]) == {"a"}
    assert list(rules.values(runs_pb2.LaunchRunRequest(), ("asset_selection",))) == []


def test_a_method_without_a_rule_is_for_nobody():
    file = descriptor_pb2.FileDescriptorProto(name="ruleless.proto", package="ruleless")
    file.message_type.add(name="Nothing")
    service = file.service.add(name="Service")
    service.method.add(name="Call", input_type=".ruleless.Nothing", output_type=".ruleless.Nothing")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    with pytest.raises(errors.PolicyForbids, match=r"ruleless\.Service\.Call has no rule"):
        rules.of_method(pool.FindMethodByName("ruleless.Service.Call"))
