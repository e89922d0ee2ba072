"""What the API does with subscriptions: checks, makes and steers them, for whom that is allowed.

Called by the servicer. Who may steer a subscription: whoever is an operator of the location that
its filter names; where it names none, of all the locations whose events it may send. Neither ever
changes: old deliveries hold what was chosen then.
"""

import base64
import datetime as dt
import re
import secrets
import uuid

from atoll.api.v1 import alerts_pb2, subscriptions_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers
from atoll_host.api import watching
from atoll_host.subscriptions import destinations, envelopes, sending, subscription_settings
from atoll_storage import database, subscription_records

SECRET_BYTES = 32
BATCH_EVENTS_MAX = 500
JOBS_MAX = 100
REQUEST_ID_CHARACTERS_MAX = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_CONFIGURED = ("url", "filter", "job_names", "batch_events_max", "ordered")


class Subscribing:
    """Makes and steers subscriptions."""

    def __init__(
        self,
        store: database.Database,
        changes: host_changes.Changes,
        clock: clocks.Clock,
        settings: subscription_settings.SubscriptionSettings,
    ) -> None:
        """Make it.

        Args:
            store: Where subscriptions are.
            changes: Is told of what was changed here.
            clock: Tells the time.
            settings: What may be called.
        """
        self._store = store
        self._subscriptions = store.subscriptions
        self._changes = changes
        self._clock = clock
        self._settings = settings
        self._sender = sending.Sender(settings, clock)

    async def create(
        self, request: subscriptions_pb2.CreateSubscriptionRequest
    ) -> tuple[subscriptions_pb2.Subscription, str]:
        """Make a subscription; return it and its secret, which is empty for a repeat.

        Raises:
            errors.InvalidRequest: Something in it is wrong.
            errors.SubscriptionExists: The name or the request id is taken.
        """
        _check_request_id(request.request_id)
        told = subscriptions_pb2.Subscription(
            subscription_id=str(uuid.uuid4()),
            name=request.name,
            url=request.url,
            filter=request.filter,
            job_names=request.job_names,
            batch_events_max=request.batch_events_max or 1,
            ordered=not request.unordered,
            creator=callers.current().name,
        )
        self._check(told)
        names = self._locations_of(told)
        repeated = await self._subscriptions.repeated(request.request_id)
        if repeated is None:
            secret = secrets.token_bytes(SECRET_BYTES)
            new = subscription_records.NewSubscription(
                request.request_id, told, names, secret, await self._start(request.start)
            )
            if await self._subscriptions.create(
                new, subscriptions_max=self._settings.subscriptions_max
            ):
                self._changes.subscriptions.set()
                return (await self.get(told.name)).told, shown(secret)
            repeated = await self._subscriptions.repeated(request.request_id)
        if repeated is None:
            raise await self._refusal(told.name)
        found = (await self.get(repeated)).told
        asked = [name for name in _CONFIGURED if getattr(found, name) != getattr(told, name)]
        if found.name != told.name or asked:
            raise errors.SubscriptionExists(
                f"The request id {request.request_id!r} already made the subscription "
                f"{found.name!r}, which differs in {', '.join(asked) or 'name'}. Use a new request "
                "id for a new subscription.",
                name=found.name,
            )
        return found, ""

    async def get(self, name: str) -> subscription_records.SubscriptionRecord:
        """Return a subscription that the caller may steer.

        Raises:
            errors.UnknownSubscription: There is none of that name.
            errors.NotAllowed: The caller may not steer it.
        """
        record = await self._subscriptions.get(name)
        if record is None:
            raise errors.UnknownSubscription(name)
        callers.current().require(callers.Role.OPERATOR, _needed(record))
        return record

    async def page(
        self, after: str, limit: int
    ) -> tuple[list[subscriptions_pb2.Subscription], bool]:
        """Return subscriptions that the caller may steer, by name, and whether there are more."""
        caller = callers.current()
        found = await self._subscriptions.page(
            after=after, limit=self._settings.subscriptions_max + 1
        )
        shown_to_caller = [
            record.told
            for record in found
            if all(caller.holds(callers.Role.OPERATOR, name) for name in _needed(record))
        ]
        return shown_to_caller[:limit], len(shown_to_caller) > limit

    async def update(
        self, request: subscriptions_pb2.UpdateSubscriptionRequest
    ) -> subscriptions_pb2.Subscription:
        """Change what is given.

        Raises:
            errors.InvalidRequest: Something in it is wrong.
        """
        record = await self.get(request.name)
        told = _configuration(record.told)
        if request.HasField("url"):
            told.url = request.url
        if request.HasField("filter"):
            told.filter.CopyFrom(request.filter)
        if request.HasField("jobs"):
            del told.job_names[:]
            told.job_names.extend(request.jobs.job_names)
        if request.HasField("batch_events_max"):
            told.batch_events_max = request.batch_events_max or 1
        if request.HasField("unordered"):
            told.ordered = not request.unordered
        if told.filter.location_name != record.told.filter.location_name:
            raise errors.InvalidRequest(
                "The location of a subscription cannot be changed, since it says who may steer it. "
                "Make another subscription.",
                field="filter.location_name",
            )
        self._check(told)
        await self._subscriptions.change(told)
        return await self._changed(request.name)

    async def pause(self, name: str) -> subscriptions_pb2.Subscription:
        """Send nothing any more."""
        await self.get(name)
        await self._subscriptions.pause(name)
        return await self._changed(name)

    async def resume(self, name: str) -> subscriptions_pb2.Subscription:
        """Send again."""
        await self.get(name)
        await self._subscriptions.resume(name)
        return await self._changed(name)

    async def delete(self, name: str) -> None:
        """Forget a subscription and its deliveries."""
        await self.get(name)
        if not await self._subscriptions.delete(name):
            raise errors.UnknownSubscription(name)
        self._changes.subscriptions.set()

    async def rotate(
        self, request: subscriptions_pb2.RotateSecretRequest
    ) -> subscriptions_pb2.RotateSecretResponse:
        """Make a new secret."""
        await self.get(request.name)
        secret = secrets.token_bytes(SECRET_BYTES)
        overlap_s = 0.0 if request.revoke_old else self._settings.old_secret_s
        until = await self._subscriptions.rotate(request.name, secret, overlap_s=overlap_s)
        answer = subscriptions_pb2.RotateSecretResponse(secret=shown(secret))
        if until is not None:
            answer.old_until_time.FromDatetime(until)
        return answer

    async def test(self, name: str) -> subscriptions_pb2.SubscriptionDelivery:
        """Send a request that no event caused, at once."""
        record = await self.get(name)
        signing = await self._subscriptions.signing(name)
        delivery = subscriptions_pb2.SubscriptionDelivery(
            delivery_id=str(uuid.uuid4()), subscription_name=name, attempts=1
        )
        now = self._clock.now()
        delivery.create_time.FromDatetime(now)
        stamp = delivery.create_time.ToJsonString()
        body = envelopes.of_test(record.told, delivery.delivery_id, stamp)
        headers = envelopes.headers(delivery.delivery_id, body, now.timestamp(), signing)
        answer = await self._sender.send(record.told.url, headers, body)
        delivery.status = (
            alerts_pb2.DELIVERY_STATUS_DELIVERED
            if answer.arrived
            else alerts_pb2.DELIVERY_STATUS_DEAD
        )
        delivery.http_status, delivery.error = answer.http_status, answer.error
        delivery.duration_ms = answer.duration_ms
        delivery.end_time.FromDatetime(self._clock.now())
        return delivery

    async def delivery(
        self, name: str, delivery_id: str
    ) -> tuple[subscriptions_pb2.SubscriptionDelivery, bytes]:
        """Return a delivery and what is sent with it.

        Raises:
            errors.UnknownDelivery: There is none of that id.
        """
        await self.get(name)
        found = await self._store.subscription_deliveries.get(name, delivery_id)
        if found is None:
            raise errors.UnknownDelivery(delivery_id, name)
        return found

    async def redeliver(
        self, name: str, delivery_id: str
    ) -> subscriptions_pb2.SubscriptionDelivery:
        """Send a delivery once more."""
        await self.delivery(name, delivery_id)
        await self._store.subscription_deliveries.redeliver(name, delivery_id)
        self._changes.subscriptions.set()
        return (await self.delivery(name, delivery_id))[0]

    async def _changed(self, name: str) -> subscriptions_pb2.Subscription:
        self._changes.subscriptions.set()
        return (await self.get(name)).told

    async def _refusal(self, name: str) -> errors.HostError:
        """Say why a subscription could not be made."""
        if await self._subscriptions.get(name) is not None:
            return errors.SubscriptionExists(
                f"There is a subscription {name!r} already. Choose another name, or update it.",
                name=name,
            )
        return errors.InvalidRequest(
            f"There are {self._settings.subscriptions_max} subscriptions already, which is as many "
            "as [subscriptions] subscriptions_max allows. Delete one that nobody needs."
        )

    async def _start(
        self, start: subscriptions_pb2.SubscriptionStart
    ) -> subscription_records.Start:
        match start.WhichOneof("place"):
            case "earliest" if start.earliest:
                oldest = await watching.before_oldest(self._store.events)
                return subscription_records.Start(oldest, takes_what_is_left=True)
            case "from_time":
                moment = start.from_time.ToDatetime(tzinfo=dt.UTC)
                position = await self._store.events.position_at(moment)
                return subscription_records.Start(position, takes_what_is_left=True)
            case "after_id":
                head = await self._store.events.head()
                if not 0 <= start.after_id <= head:
                    raise errors.InvalidRequest(
                        f"There is no event {start.after_id} yet: the newest is {head}. Begin with "
                        "one that is there, or leave the start out.",
                        field="start.after_id",
                    )
                return subscription_records.Start(start.after_id)
            case _:
                return subscription_records.Start()

    def _locations_of(self, told: subscriptions_pb2.Subscription) -> frozenset[str] | None:
        """Return whose events the caller may have sent, None for all.

        Raises:
            errors.NotAllowed: The caller is no operator of the location that is asked for.
        """
        caller = callers.current()
        if told.filter.location_name:
            caller.require(callers.Role.OPERATOR, [told.filter.location_name])
        return caller.locations(callers.Role.OPERATOR)

    def _check(self, told: subscriptions_pb2.Subscription) -> None:
        if not _NAME.fullmatch(told.name):
            raise errors.InvalidRequest(
                f"{told.name!r} is no name for a subscription. Write up to 100 letters, digits, "
                "dots, dashes and underscores, beginning with a letter or digit.",
                field="name",
            )
        if not 1 <= told.batch_events_max <= BATCH_EVENTS_MAX:
            raise errors.InvalidRequest(
                f"batch_events_max is {told.batch_events_max}; it must be from 1 to "
                f"{BATCH_EVENTS_MAX}.",
                field="batch_events_max",
            )
        if told.job_names and told.filter.job_name:
            raise errors.InvalidRequest(
                f"Both filter.job_name, {told.filter.job_name!r}, and job_names are given. Name "
                "all jobs in job_names.",
                field="job_names",
            )
        if len(told.job_names) > JOBS_MAX:
            raise errors.InvalidRequest(
                f"{len(told.job_names)} jobs are named; {JOBS_MAX} is the most.", field="job_names"
            )
        watching.query_of(told.filter)
        try:
            destinations.read(told.url, self._settings)
        except destinations.Forbidden as error:
            raise errors.InvalidRequest(str(error), field="url") from None


def shown(secret: bytes) -> str:
    """Return a secret as people pass it on."""
    return envelopes.SECRET_PREFIX + base64.b64encode(secret).decode()


def _needed(record: subscription_records.SubscriptionRecord) -> list[str]:
    """Return the locations that one has to be an operator of to steer a subscription."""
    if record.told.filter.location_name:
        return [record.told.filter.location_name]
    # The empty name is held by whoever holds the role for all locations.
    return [""] if record.location_names is None else sorted(record.location_names)


def _configuration(
    told: subscriptions_pb2.Subscription,
) -> subscriptions_pb2.Subscription:
    """Return what was asked for, without how it fares."""
    return subscriptions_pb2.Subscription(
        subscription_id=told.subscription_id,
        name=told.name,
        url=told.url,
        filter=told.filter,
        job_names=told.job_names,
        batch_events_max=told.batch_events_max,
        ordered=told.ordered,
        creator=told.creator,
    )


def _check_request_id(request_id: str) -> None:
    if not request_id or len(request_id) > REQUEST_ID_CHARACTERS_MAX:
        raise errors.InvalidRequest(
            "The request id is missing, or longer than "
            f"{REQUEST_ID_CHARACTERS_MAX} characters. Give each new subscription one of its own, "
            "such as a UUID: whoever repeats the call with it makes no second one.",
            field="request_id",
        )
