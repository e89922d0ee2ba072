"""The requests of subscriptions: their bodies, and the headers that sign them. Pure.

Called by `following`, `delivering` and by the API, which tries receivers. The envelope is a promise
to receivers: keys are added, never changed. Bodies are made once for each delivery and are the same
at every try.
"""

import json
from collections.abc import Mapping, Sequence

from google.protobuf import json_format

from atoll.api.v1 import subscriptions_pb2
from atoll.events.v1 import events_pb2
from atoll_host.webhooks import signatures
from atoll_storage import subscription_records

TYPE_EVENTS = "atoll.events"
TYPE_TEST = "atoll.test"
SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with


def of_events(
    told: subscriptions_pb2.Subscription,
    delivery_id: str,
    events: Sequence[events_pb2.StoredEvent],
) -> bytes:
    """Return the body of a request that holds events."""
    timestamp = events[-1].stored_time.ToJsonString()
    documents = [json_format.MessageToDict(each) for each in events]
    return _envelope(TYPE_EVENTS, timestamp, told, delivery_id, documents)


def of_test(told: subscriptions_pb2.Subscription, delivery_id: str, timestamp: str) -> bytes:
    """Return the body of a request that tries a receiver."""
    return _envelope(TYPE_TEST, timestamp, told, delivery_id, [])


def headers(
    delivery_id: str, body: bytes, now_s: float, signing: subscription_records.Signing
) -> dict[str, str]:
    """Return the headers of one try.

    Args:
        delivery_id: The same for every try.
        body: The body.
        now_s: The time, in seconds since 1970: a receiver refuses what is old.
        signing: The secrets to sign with.
    """
    timestamp = str(int(now_s))
    return {
        "content-type": "application/json",
        "user-agent": "atoll-host",
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(
            signatures.sign_message(secret, delivery_id, timestamp, body)
            for secret in signing.secrets
        ),
    }


def _envelope(
    kind: str,
    timestamp: str,
    told: subscriptions_pb2.Subscription,
    delivery_id: str,
    events: Sequence[Mapping[str, object]],
) -> bytes:
    document = {
        "type": kind,
        "timestamp": timestamp,
        "data": {
            "subscriptionId": told.subscription_id,
            "subscription": told.name,
            "deliveryId": delivery_id,
            "events": events,
        },
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
