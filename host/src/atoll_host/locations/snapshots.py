"""The snapshots of all builds that the host shows, each fetched once and checked.

A snapshot is known by its digest. It is looked for in memory, then in storage, and only then asked
of the code server, in chunks; what came over the wire is stored before it is used. Called by the
registry and by sessions.
"""

import asyncio
import hashlib
import logging
from collections.abc import Collection

from google.protobuf import message as protobuf_message

from atoll.location.v1 import location_pb2
from atoll_host import errors
from atoll_host.locations import control, definitions
from atoll_storage import location_store

_log = logging.getLogger(__name__)

SNAPSHOT_BYTES_MAX = 256 * 1024 * 1024
"""More than any sane location defines; bounds what a broken code server can fill."""

FETCH_TIMEOUT_S = 30.0


class Snapshots:
    """Gives the definitions of builds. Concurrent wishes for one digest share one fetch."""

    def __init__(self, store: location_store.LocationStore) -> None:
        self._store = store
        self._known: dict[str, definitions.Definitions] = {}
        self._fetches: dict[str, asyncio.Task[definitions.Definitions]] = {}

    def known(self, digest: str) -> definitions.Definitions | None:
        """Return definitions that are in memory already."""
        return self._known.get(digest)

    def keep(self, digests: Collection[str]) -> None:
        """Forget all other definitions; storage still has them."""
        for digest in [known for known in self._known if known not in digests]:
            del self._known[digest]

    async def stored(self, digest: str) -> definitions.Definitions | None:
        """Return definitions from memory or storage, None when neither has them."""
        known = self._known.get(digest)
        if known is not None:
            return known
        encoded = await self._store.load_snapshot(digest)
        if encoded is None:
            return None
        try:
            return await self._decode(digest, encoded)
        except protobuf_message.DecodeError:
            return None  # of a release that wrote otherwise: the code server sends it again

    async def get(
        self, build: location_pb2.Build, client: control.ControlClient, *, location_name: str
    ) -> definitions.Definitions:
        """Return the definitions of a build, from its code server when need be.

        Raises:
            errors.LocationError: The code server does not answer, or what it sent is not what it
                promised.
            atoll_storage.errors.StorageError: Storage did not give or take the snapshot.
        """
        digest = build.definitions_digest
        known = self._known.get(digest)
        if known is not None:
            return known
        fetch = self._fetches.get(digest)
        if fetch is None:
            fetch = asyncio.create_task(self._load(build, client, location_name))
            self._fetches[digest] = fetch
            fetch.add_done_callback(lambda done: self._forget(digest, done))
        # A caller that goes away does not take the fetch from the others.
        return await asyncio.shield(fetch)

    async def close(self) -> None:
        """Stop fetching."""
        fetches = list(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    def _forget(self, digest: str, done: asyncio.Task[definitions.Definitions]) -> None:
        self._fetches.pop(digest, None)
        if not done.cancelled():
            done.exception()  # taken by whoever waited; when all went away it is nobody's

    async def _load(
        self, build: location_pb2.Build, client: control.ControlClient, location_name: str
    ) -> definitions.Definitions:
        stored = await self.stored(build.definitions_digest)
        if stored is not None:
            return stored
        encoded = await self._fetch(build, client, location_name)
        await self._store.save_snapshot(build.definitions_digest, encoded)
        try:
            return await self._decode(build.definitions_digest, encoded)
        except protobuf_message.DecodeError as error:
            raise _broken(location_name, build, "cannot be decoded") from error

    async def _fetch(
        self, build: location_pb2.Build, client: control.ControlClient, location_name: str
    ) -> bytes:
        size = build.definitions_size_bytes
        if not 0 <= size <= SNAPSHOT_BYTES_MAX:
            raise _broken(location_name, build, f"are said to have {size} bytes")
        encoded = bytearray()
        chunks = client.stream_definitions(build.build_id, timeout_s=FETCH_TIMEOUT_S)
        async for chunk in chunks:
            encoded += chunk
            if len(encoded) > size:
                raise _broken(location_name, build, f"have more than the promised {size} bytes")
        if len(encoded) != size:
            raise _broken(location_name, build, f"have {len(encoded)} of the promised {size} bytes")
        whole = bytes(encoded)
        digest = await asyncio.to_thread(lambda: hashlib.sha256(whole).hexdigest())
        if digest != build.definitions_digest:
            raise _broken(location_name, build, f"have the digest {digest}")
        return whole

    async def _decode(self, digest: str, encoded: bytes) -> definitions.Definitions:
        decoded = await asyncio.to_thread(definitions.decode, digest, encoded)
        self._known[digest] = decoded
        return decoded


def _broken(location_name: str, build: location_pb2.Build, what: str) -> errors.LocationRefused:
    return errors.LocationRefused(
        f"Location {location_name!r}: the definitions of build {build.build_id!r} with digest "
        f"{build.definitions_digest!r} {what}. Restart its code server.",
        location_name=location_name,
        reason="SNAPSHOT_BROKEN",
    )
