"""Decides on one request to a webhook sensor, and stores it. Of HTTP it knows the statuses only.

Called by `listening`. A request is answered as taken only once its delivery is durable. Whoever
cannot sign learns nothing: not even which sensors there are.
"""

import dataclasses
import http
import uuid
from collections.abc import Mapping
from typing import Protocol

from atoll.definitions.v1 import snapshot_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host.locations import registry as registries
from atoll_host.webhooks import deliveries, signatures, webhook_settings
from atoll_storage import errors as storage_errors
from atoll_storage import records, webhook_records, webhook_store

NAME_CHARACTERS_MAX = 500
RETRY_AFTER_S = 10


class Locations(Protocol):
    """What is asked of the registry."""

    def locations(self) -> Mapping[str, registries.LocationView]:
        """Return all locations."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in; the names of headers are in lower case."""

    location_name: str
    sensor_name: str
    headers: Mapping[str, str]
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What to answer.

    Attributes:
        status: The status of HTTP.
        content: What to say, for JSON.
        retry_after_s: When it may help to send the request again; 0 says nothing of that.
    """

    status: http.HTTPStatus
    content: Mapping[str, object]
    retry_after_s: int = 0


def problem(status: http.HTTPStatus, reason: str, message: str, *, retry_after_s: int = 0) -> Reply:
    """Return a reply that says what went wrong."""
    return Reply(status, {"error": {"reason": reason, "message": message}}, retry_after_s)


class Receiver:
    """Takes deliveries."""

    def __init__(
        self,
        store: webhook_store.WebhookStore,
        locations: Locations,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        settings: webhook_settings.WebhookSettings,
    ) -> None:
        """Make a receiver.

        Args:
            store: Secrets and deliveries.
            locations: Which sensors there are.
            changes: Is told of what was stored.
            clock: Tells the time.
            settings: What is asked of requests.
        """
        self._store = store
        self._locations = locations
        self._changes = changes
        self._clock = clock
        self._settings = settings
        self._rules = signatures.Rules(settings.timestamp_tolerance_s, settings.require_timestamp)

    async def receive(self, request: Request) -> Reply:
        """Decide on a request; store it where it is a delivery."""
        try:
            return await self._receive(request)
        except storage_errors.StorageUnavailable:
            return problem(
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                "STORAGE_UNAVAILABLE",
                "The delivery could not be stored. Send it again, with the same id.",
                retry_after_s=RETRY_AFTER_S,
            )

    async def _receive(self, request: Request) -> Reply:
        if not await self._is_authentic(request):
            return problem(
                http.HTTPStatus.UNAUTHORIZED,
                "INVALID_SIGNATURE",
                "The request is not signed with the secret of this sensor, or its timestamp is "
                "missing or too old. Send the header X-Atoll-Signature-256: sha256=<HMAC-SHA256 of "
                "the body in hexadecimal digits>; 'atoll sensors webhook-secret' makes a secret.",
            )
        key = records.SensorKey(request.location_name, request.sensor_name)
        refusal = self._refusal(key)
        if refusal is not None:
            return refusal
        delivery = webhook_records.NewDelivery(
            key,
            deliveries.id_of(request.headers, lambda: str(uuid.uuid4())),
            deliveries.kept(request.headers),
            request.body,
        )
        outcome = await self._store.store(delivery, waiting_max=self._settings.waiting_max)
        return self._told(delivery, outcome)

    def _told(
        self, delivery: webhook_records.NewDelivery, outcome: webhook_records.DeliveryOutcome
    ) -> Reply:
        if outcome is webhook_records.DeliveryOutcome.REFUSED:
            return problem(
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                "TOO_MANY_WAIT",
                f"{self._settings.waiting_max} deliveries wait for this sensor already. Send it "
                "again later, with the same id.",
                retry_after_s=RETRY_AFTER_S,
            )
        if outcome is webhook_records.DeliveryOutcome.REPEATED:
            content = {"status": "repeated", "delivery_id": delivery.delivery_id}
            return Reply(http.HTTPStatus.OK, content)
        self._changes.webhooks.set()
        content = {"status": "stored", "delivery_id": delivery.delivery_id}
        return Reply(http.HTTPStatus.ACCEPTED, content)

    async def _is_authentic(self, request: Request) -> bool:
        if signatures.claimed(request.headers) is None:
            return False
        key = records.SensorKey(request.location_name, request.sensor_name)
        names = key.location_name + key.sensor_name
        secret = None
        if "\x00" not in names and len(names) <= NAME_CHARACTERS_MAX:
            secret = await self._store.secret(key)
        now_s = self._clock.now().timestamp()
        return signatures.is_valid(secret, request.headers, request.body, now_s, self._rules)

    def _refusal(self, key: records.SensorKey) -> Reply | None:
        """Say why nothing is taken for a sensor whose secret the sender has; None where it is."""
        view = self._locations.locations().get(key.location_name)
        if view is not None and view.definitions is None:
            return problem(
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                "LOCATION_NOT_READY",
                f"What location {key.location_name!r} defines is not known here yet. Send it "
                "again, with the same id.",
                retry_after_s=RETRY_AFTER_S,
            )
        sensor = None if view is None else view.sensor(key.sensor_name)
        if sensor is not None and sensor.kind == snapshot_pb2.SENSOR_KIND_WEBHOOK:
            return None
        return problem(
            http.HTTPStatus.NOT_FOUND,
            "UNKNOWN_SENSOR",
            f"Location {key.location_name!r} does not define the webhook sensor "
            f"{key.sensor_name!r} any more. Nothing was stored.",
        )
