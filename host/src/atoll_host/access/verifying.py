"""Says who bears a token: reads it once, then answers from memory for a while.

Called by `engine` with each call and with each message of a stream. A revocation, here or on
another host, raises `Changes.access_version`, after which each token is read again before it
counts. What is never told is found out by reading again every `FRESH_S` beside the calls, which do
not wait for that: a code server must not lose its lease because storage is slow. While storage is
away, what was known goes on to count until the token expires: nobody can revoke anything then
either.
"""

import asyncio
import collections
import contextlib
import dataclasses
import logging

from atoll_host import changes as host_changes
from atoll_host import clock as clocks
from atoll_host import errors
from atoll_host.access import callers, tokens
from atoll_storage import access_records, access_store
from atoll_storage import errors as storage_errors

_log = logging.getLogger(__name__)

FRESH_S = 5.0
"""After so long a token is read again that nobody was told to have been revoked."""

READ_TIMEOUT_S = 2.0
"""So long a call waits for that where the token was known before."""

USE_NOTED_EVERY_S = 300.0
_KNOWN_MAX = 10_000
_READS_MAX = 2
_NOBODYS = tokens.Token("", "").digest


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    caller: callers.Caller
    digest: bytes
    version: int
    read_at: float
    ends_at: float | None


class Verifier:
    """Tells callers by their tokens."""

    def __init__(
        self,
        store: access_store.AccessStore,
        changes: host_changes.Changes,
        clock: clocks.Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._clock = clock
        self._known: collections.OrderedDict[str, _Known] = collections.OrderedDict()
        # Whoever tries ids must not take the connections of everybody else.
        self._reads = asyncio.Semaphore(_READS_MAX)
        self._reading: dict[str, asyncio.Task[_Known | None]] = {}

    async def caller(self, token: tokens.Token) -> callers.Caller:
        """Return who bears a token.

        Raises:
            errors.CredentialsInvalid: It is unknown, expired or revoked.
            atoll_storage.errors.StorageUnavailable: It cannot be read now, and was not before.
        """
        known = self._known.get(token.token_id)
        if known is None:
            known = await self._read(token)
        elif known.version != self._changes.access_version:
            known = await self._read_again(token, known)
        elif not self._is_fresh(known):
            self._begin_reading(token)
        now = self._clock.monotonic()
        # One answer for all that is wrong, so that nobody learns which part of a guess was right.
        matches = token.matches(_NOBODYS if known is None else known.digest)
        if known is None or not matches or (known.ends_at is not None and now >= known.ends_at):
            raise errors.CredentialsInvalid
        return known.caller

    def _is_fresh(self, known: _Known) -> bool:
        same = known.version == self._changes.access_version
        return same and self._clock.monotonic() - known.read_at < FRESH_S

    async def _read_again(self, token: tokens.Token, before: _Known) -> _Known | None:
        """Read a token that was known; what was known counts where that cannot be done."""
        task = self._begin_reading(token)
        await asyncio.wait({task}, timeout=READ_TIMEOUT_S)
        if not task.done() or task.cancelled() or task.exception() is not None:
            return before
        return task.result()

    def _begin_reading(self, token: tokens.Token) -> asyncio.Task[_Known | None]:
        """Read a token beside the calls, once for all that want to know."""
        task = self._reading.get(token.token_id)
        if task is None:
            task = asyncio.create_task(self._read(token), name="reading a token")
            self._reading[token.token_id] = task
            task.add_done_callback(lambda done: self._have_read(token.token_id, done))
        return task

    def _have_read(self, token_id: str, task: asyncio.Task[_Known | None]) -> None:
        self._reading.pop(token_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning(
                "a token could not be read again, so what was known of it counts",
                extra={"action": "token_unread", "token_id": token_id, "error": str(error)},
            )

    async def _read(self, token: tokens.Token) -> _Known | None:
        async with self._reads:
            known = self._known.get(token.token_id)
            if known is not None and self._is_fresh(known):
                return known  # somebody else read it meanwhile
            version, now = self._changes.access_version, self._clock.monotonic()
            checked = await self._store.check(token.token_id)
            if checked is None:
                self._known.pop(token.token_id, None)
                return None
            record = checked.record
            ends_at = None if checked.live_s is None else now + checked.live_s
            known = _Known(caller_of(record), record.digest, version, now, ends_at)
            self._known[token.token_id] = known
            self._known.move_to_end(token.token_id)
            if len(self._known) > _KNOWN_MAX:
                self._known.popitem(last=False)
            if token.matches(record.digest):
                with contextlib.suppress(storage_errors.StorageError):
                    await self._note_use(checked)
            return known

    async def _note_use(self, checked: access_records.CheckedToken) -> None:
        used = checked.record.last_use_time
        if used is not None and (self._clock.now() - used).total_seconds() < USE_NOTED_EVERY_S:
            return
        await self._store.used(checked.record.token_id, every_s=USE_NOTED_EVERY_S)


def caller_of(record: access_records.TokenRecord) -> callers.Caller:
    """Return who bears a token. Pure."""
    if record.kind == access_records.KIND_LOCATION:
        return callers.Caller(
            record.name,
            callers.Kind.LOCATION,
            credential_id=record.token_id,
            location_name=record.location_name,
        )
    grants = tuple(
        callers.Grant(
            callers.Role(grant.role),
            None if grant.locations is None else frozenset(grant.locations),
        )
        for grant in record.grants
    )
    return callers.Caller(record.name, callers.Kind.TOKEN, grants, credential_id=record.token_id)
