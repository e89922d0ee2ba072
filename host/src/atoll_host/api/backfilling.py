"""Backfills as people and programs ask for them: made, looked at and steered.

Called by the backfills servicer. What a backfill may be is decided in `automation.backfills`, and
what it requests by the term of the leader; here both are only asked, and stored.
"""

import asyncio
import dataclasses
import uuid
from collections.abc import Callable, Iterable, Sequence

from atoll import errors as location_errors
from atoll.api.v1 import backfills_pb2
from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers
from atoll_host.automation.backfills import (
    counting,
    leading,
    parts,
    planning,
    plans,
    submitting,
    targets,
)
from atoll_host.automation.backfills import progress as progresses
from atoll_host.runs import requests, run_tags
from atoll_storage import backfill_records, database, records
from atoll_storage import errors as storage_errors

_STATUS = backfill_records.BackfillStatus
_PAGE = 10_000
_TRIES_MAX = 20
_TITLE_LENGTH_MAX = 500
_ASSETS_MAX = 10_000
_RETRYABLE = frozenset(_STATUS) - {_STATUS.CANCELING}

AssetPath = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Wish:
    """A backfill that somebody wants. `dry_run` only asks what it would be."""

    asked: targets.Asked
    title: str
    tags: dict[str, str]
    request_id: str = ""
    dry_run: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """A backfill with its progress; without, where what it is made of is not defined now."""

    record: backfill_records.BackfillRecord | None
    planned: planning.Planned | None = None
    progress: progresses.Progress | None = None


class Backfilling:
    """Makes, shows and steers backfills."""

    def __init__(
        self,
        store: database.Database,
        locations: leading.Locations,
        changes: host_changes.Changes,
        clock: clocks.Clock,
    ) -> None:
        self._store = store
        self._around = leading.Surroundings(store, locations, changes, clock)
        self._clock = clock

    async def create(self, wish: Wish) -> Shown:
        """Check a backfill and begin it; the same request id returns the first one.

        Raises:
            errors.InvalidRequest: Something in it is wrong.
            errors.NotFound: It names what is not there.
            errors.NotAllowed: The caller may not launch in all locations that it is about.
        """
        _check(wish)
        if wish.request_id and not wish.dry_run:
            first = await self._store.backfills.of_request(wish.request_id)
            if first is not None:
                _check_repeated(first, wish)
                _require_launcher(_locations_of(first))
                return await self.show(first.backfill_id)
        defined = self._around.defined()
        asked = _located(wish.asked, defined)
        planned = await self._resolved(asked, defined)
        _require_launcher(part.location_name for part in planned.parts)
        progress = progresses.Progress.begin(planned.plan)
        if wish.dry_run:
            return Shown(None, planned, progress)
        message = parts.progress_message(planned.parts, planned.units, progress)
        message.counts.CopyFrom(counting.total(planned, progress))
        target = parts.target_message(planned.parts, planned.plan.moment)
        new = backfill_records.NewBackfill(
            backfill_id=str(uuid.uuid4()),
            title=wish.title,
            tags=wish.tags,
            target=target.SerializeToString(deterministic=True),
            progress=message.SerializeToString(),
            request_id=wish.request_id,
        )
        record = await self._store.backfills.create(new)
        if record.backfill_id != new.backfill_id:
            _check_repeated(record, wish)
            return await self.show(record.backfill_id)
        return Shown(record, planned, progress)

    async def show(self, backfill_id: str) -> Shown:
        """Return a backfill.

        Raises:
            errors.UnknownBackfill: There is none of that id.
        """
        record = await self._get(backfill_id)
        try:
            planned, progress = await leading.load(self._store, record, self._around.defined())
        except errors.HostError:
            return Shown(record)
        return Shown(record, planned, progress)

    async def cancel(self, backfill_id: str) -> backfill_records.BackfillRecord:
        """Have a backfill end."""
        return await self._steer(
            backfill_id,
            lambda now: now if now.is_final else _STATUS.CANCELING,
        )

    async def pause(self, backfill_id: str) -> backfill_records.BackfillRecord:
        """Have a backfill request nothing more for now."""
        return await self._steer(
            backfill_id, _only(_STATUS.PAUSED, _STATUS.REQUESTED, "paused", backfill_id)
        )

    async def resume(self, backfill_id: str) -> backfill_records.BackfillRecord:
        """Have a paused backfill go on."""
        return await self._steer(
            backfill_id, _only(_STATUS.REQUESTED, _STATUS.PAUSED, "resumed", backfill_id)
        )

    async def retry(self, backfill_id: str) -> backfill_records.BackfillRecord:
        """Have a backfill request again what failed, and what was left when it ended.

        Raises:
            errors.UnknownBackfill: There is none of that id.
            errors.InvalidRequest: It is being canceled, or what it is made of is gone.
        """
        for _ in range(_TRIES_MAX):
            record = await self._get(backfill_id)
            if record.status not in _RETRYABLE:
                raise errors.InvalidRequest(
                    f"Backfill {backfill_id!r} is being canceled. Retry it when it is CANCELED.",
                    field="backfill_id",
                )
            try:
                planned, progress = await leading.load(self._store, record, self._around.defined())
            except parts.NotDefined as error:
                raise errors.InvalidRequest(str(error), field="backfill_id") from error
            again = progress.to_retry()
            if not any(progress.failed) and record.status in {
                _STATUS.REQUESTED,
                _STATUS.PAUSED,
                _STATUS.COMPLETED_SUCCESS,
            }:
                return record
            message = parts.progress_message(planned.parts, planned.units, again)
            message.counts.CopyFrom(counting.total(planned, again))
            status = _STATUS.PAUSED if record.status is _STATUS.PAUSED else _STATUS.REQUESTED
            if await self._stored(record, status, message.SerializeToString(), clear=True):
                return await self._get(backfill_id)
        raise self._busy(backfill_id)

    async def _steer(
        self,
        backfill_id: str,
        next_of: Callable[[backfill_records.BackfillStatus], backfill_records.BackfillStatus],
    ) -> backfill_records.BackfillRecord:
        for _ in range(_TRIES_MAX):
            record = await self._get(backfill_id)
            status = next_of(record.status)
            if status is record.status:
                return record
            if await self._stored(record, status, record.progress, clear=False):
                return await self._get(backfill_id)
        raise self._busy(backfill_id)

    async def _stored(
        self,
        record: backfill_records.BackfillRecord,
        status: backfill_records.BackfillStatus,
        progress: bytes,
        *,
        clear: bool,
    ) -> bool:
        """Store a change; return False if the backfill went on meanwhile."""
        commit = backfill_records.BackfillCommit(
            record.backfill_id, record.version, status, progress, clear_failure=clear
        )
        try:
            await self._store.backfills.commit(commit)
        except storage_errors.StaleBackfill:
            return False
        return True

    @staticmethod
    def _busy(backfill_id: str) -> errors.HostError:
        return errors.InvalidRequest(
            f"Backfill {backfill_id!r} goes on so fast that it could not be changed in "
            f"{_TRIES_MAX} tries. Try again.",
            field="backfill_id",
        )

    async def _get(self, backfill_id: str) -> backfill_records.BackfillRecord:
        record = await self._store.backfills.get(backfill_id)
        if record is None:
            raise errors.UnknownBackfill(backfill_id)
        return record

    async def _resolved(self, asked: targets.Asked, defined: parts.Defined) -> planning.Planned:
        whole = await asyncio.to_thread(targets.whole_parts, asked, defined)
        keys = await parts.read_keys(self._store.partitions, defined.dynamic_names(whole))
        time = targets.Time(self._clock.now(), keys)
        known: dict[AssetPath, targets.Known] = {}
        if asked.choice in {targets.Choice.MISSING, targets.Choice.FAILED}:
            for path in _looked_at(asked, whole, defined):
                known[path] = await self._known(path)
        try:
            found = await asyncio.to_thread(targets.resolve, asked, whole, defined, time, known)
            planned = await asyncio.to_thread(planning.plan, found, defined, time.moment, time.keys)
        except location_errors.Error as error:
            raise errors.InvalidRequest(str(error), field="partition_keys") from error
        await asyncio.to_thread(_check_requestable, planned, defined)
        return planned

    async def _known(self, path: AssetPath) -> targets.Known:
        """Read what was done of an asset before."""
        materialized: list[str] = []
        failed: list[str] = []
        after, more = "", True
        while more:
            query = records.AssetPartitionQuery(path, after_partition=after)
            page, more = await self._store.assets.partitions(query, limit=_PAGE)
            for each in page:
                if each.materialization_id:
                    materialized.append(each.partition)
                is_newest = each.planned_id > each.materialization_id
                if is_newest and each.planned_run_status == records.RunStatus.FAILURE:
                    failed.append(each.partition)
            after = page[-1].partition if page else ""
        for entry in await self._store.assets.entries([path]):
            latest = entry.latest_materialization
            if latest is not None:
                materialized.append(plans.WHOLE_KEY)
            if entry.planned_id > (0 if latest is None else latest.id):
                run = await self._store.runs.get(entry.planned_run_id)
                if run is not None and run.status is records.RunStatus.FAILURE:
                    failed.append(plans.WHOLE_KEY)
        return targets.Known(materialized, failed)


def _require_launcher(location_names: Iterable[str]) -> None:
    callers.current().require(callers.Role.LAUNCHER, sorted(set(location_names)))


def _locations_of(record: backfill_records.BackfillRecord) -> list[str]:
    target = backfills_pb2.BackfillTarget.FromString(record.target)
    return [part.location_name for part in target.parts]


def _looked_at(
    asked: targets.Asked, whole: Sequence[parts.Part], defined: parts.Defined
) -> list[AssetPath]:
    if not asked.job_name:
        return [part.path for part in whole]
    job = defined.locations[asked.location_name].jobs[asked.job_name]
    return [tuple(key.path) for key in job.asset_keys]


def _located(asked: targets.Asked, defined: parts.Defined) -> targets.Asked:
    """Return what is asked for with the location of its job."""
    if not asked.job_name or asked.location_name:
        return asked
    found = requests.location_of_job(asked.job_name, defined.locations)
    return dataclasses.replace(asked, location_name=found)


def _check(wish: Wish) -> None:
    _check_text("title", wish.title, _TITLE_LENGTH_MAX)
    _check_text("request_id", wish.request_id, 200)
    if len(wish.asked.paths) > _ASSETS_MAX:
        raise errors.InvalidRequest(
            f"The backfill names {len(wish.asked.paths)} assets; {_ASSETS_MAX} is the most.",
            field="asset_keys",
        )
    run_tags.check(wish.tags)
    if submitting.BACKFILL_TAG in wish.tags:
        raise errors.InvalidRequest(
            f"The tag {submitting.BACKFILL_TAG!r} is given by the host. Leave it out.",
            field="tags",
        )


def _check_text(field: str, text: str, length_max: int) -> None:
    if len(text) > length_max or "\x00" in text:
        raise errors.InvalidRequest(
            f"{field} is {text[:40]!r}, {len(text)} characters long. Give at most {length_max}, "
            "and no NUL character.",
            field=field,
        )


def _check_requestable(planned: planning.Planned, defined: parts.Defined) -> None:
    """Refuse a backfill of which some run could not be launched."""
    chunks = [
        chunk
        for number, unit in enumerate(planned.plan.units)
        for chunk in submitting.first_chunk(number, unit, planned.plan)
    ]
    origin = submitting.Origin("", {})
    _, refusals = submitting.runs_of(chunks, planned.plan, defined, origin, lambda: "")
    if refusals:
        raise errors.InvalidRequest(refusals[0].failure.message, field="asset_keys")


def _check_repeated(record: backfill_records.BackfillRecord, wish: Wish) -> None:
    """Refuse a request id that comes back with another request."""
    target = backfills_pb2.BackfillTarget.FromString(record.target)
    stored = {tuple(part.asset_key.path) for part in target.parts}
    of_others = bool(wish.asked.paths) and stored.isdisjoint(wish.asked.paths)
    if of_others or target.parts[0].job_name != wish.asked.job_name:
        raise errors.InvalidRequest(
            f"The request id {wish.request_id!r} already began backfill {record.backfill_id!r}, "
            "which is of something else. Use a new request id for a new backfill.",
            field="request_id",
        )


def _only(
    wanted: backfill_records.BackfillStatus,
    before: backfill_records.BackfillStatus,
    done: str,
    backfill_id: str,
) -> Callable[[backfill_records.BackfillStatus], backfill_records.BackfillStatus]:
    def next_of(now: backfill_records.BackfillStatus) -> backfill_records.BackfillStatus:
        if now not in {wanted, before}:
            hint = "Retry it instead." if now.is_final else "Wait until it is CANCELED."
            raise errors.InvalidRequest(
                f"Backfill {backfill_id!r} is {now.value}, so it cannot be {done}. {hint}",
                field="backfill_id",
            )
        return wanted

    return next_of
