"""What the audit log keeps of requests: never a secret, never much."""

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.api.v1 import access_pb2, backfills_pb2, events_pb2, runs_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host.audit import redaction

CANARY = "canary-4711"


def test_what_was_asked_is_told_by_field():
    request = runs_pb2.LaunchRunRequest(location_name="sales", job_name="daily", tags={"b": CANARY})
    request.asset_selection.add(path=["a", "b"])
    assert redaction.arguments(request) == {
        "location_name": "sales",
        "job_name": "daily",
        "asset_selection": "a/b",
        "tags": "b",
    }
    made = access_pb2.CreateTokenRequest(name="ci", kind=access_pb2.TOKEN_KIND_ACCESS)
    made.grants.add(role=2, location_names=["sales"])
    made.lifetime.seconds = 60
    assert redaction.arguments(made) == {
        "name": "ci",
        "kind": "TOKEN_KIND_ACCESS",
        "grants[0].role": "ROLE_LAUNCHER",
        "grants[0].location_names": "sales",
        "lifetime": "60 s",
    }


def test_user_data_and_secrets_are_left_out():
    data = values_pb2.UserData(content_type=CANARY, data=CANARY.encode())
    launch = runs_pb2.LaunchRunRequest(job_name="j", run_config=data)
    answer = access_pb2.CreateTokenResponse(bearer=CANARY)
    watch = events_pb2.WatchEventsRequest(resume_token=CANARY)
    for message in (launch, answer, watch):
        assert CANARY not in str(redaction.arguments(message))


@settings(max_examples=50)
@given(st.integers(0, 200), st.text(max_size=300), st.integers(0, 100))
def test_whatever_is_asked_little_is_kept(assets: int, title: str, labels: int):
    request = backfills_pb2.CreateBackfillRequest(title=title.encode("utf-8", "replace").decode())
    request.tags.update({str(number): CANARY for number in range(labels)})
    for number in range(assets):
        request.asset_keys.add(path=["long" * 20, str(number)])
    kept = redaction.arguments(request)
    assert len(kept) <= redaction.FIELDS_MAX + 1
    assert all(len(text) <= redaction.LENGTH_MAX for text in kept.values())
    assert "\x00" not in "".join(kept.values())
    assert CANARY not in str(kept)


def test_numbers_that_are_no_time_are_told_as_they_are():
    made = access_pb2.CreateTokenRequest()
    made.lifetime.seconds = 2**63 - 1
    assert redaction.arguments(made)["lifetime"].endswith(" s")
