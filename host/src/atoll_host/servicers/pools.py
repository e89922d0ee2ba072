"""PoolsService: pools and their limits, for everyone."""

from atoll.api.v1 import pools_pb2, pools_pb2_grpc
from atoll_host import errors, moments
from atoll_host.api import pages
from atoll_host.locations import registry as registries
from atoll_host.runs import pool_settings
from atoll_host.servicers import contexts
from atoll_storage import pool_store, queue_records

_SLOTS_MAX = 1000
_NAME_LENGTH_MAX = 200
_GRANULARITIES = {
    "op": pools_pb2.POOL_GRANULARITY_OP,
    "run": pools_pb2.POOL_GRANULARITY_RUN,
}


class PoolsServicer(pools_pb2_grpc.PoolsServiceServicer):
    """Shows pools and sets their limits."""

    def __init__(
        self,
        store: pool_store.PoolStore,
        registry: registries.Registry,
        settings: pool_settings.PoolSettings,
    ) -> None:
        self._store = store
        self._registry = registry
        self._settings = settings
        self._of_runs = settings.granularity == "run"

    async def ListPools(
        self, request: pools_pb2.ListPoolsRequest, context: contexts.Context
    ) -> pools_pb2.ListPoolsResponse:
        """Return pools by name."""
        page = pages.Page(request)
        found = await self._pools()
        shown, token = page.of_sorted([(name,) for name in sorted(found)])
        return pools_pb2.ListPoolsResponse(
            pools=[found[name] for (name,) in shown],
            next_page_token=token,
            granularity=_GRANULARITIES[self._settings.granularity],
        )

    async def GetPool(
        self, request: pools_pb2.GetPoolRequest, context: contexts.Context
    ) -> pools_pb2.GetPoolResponse:
        """Return one pool with everybody who has a slot of it or waits for one."""
        pool = await self._pool(request.name)
        slots = await self._store.slots(request.name, of_runs=self._of_runs, limit=_SLOTS_MAX)
        return pools_pb2.GetPoolResponse(
            pool=pool,
            slots=[_slot(each) for each in slots],
            granularity=_GRANULARITIES[self._settings.granularity],
        )

    async def SetPoolLimit(
        self, request: pools_pb2.SetPoolLimitRequest, context: contexts.Context
    ) -> pools_pb2.SetPoolLimitResponse:
        """Give a pool a limit of its own."""
        name = request.name
        if not 1 <= len(name) <= _NAME_LENGTH_MAX or "\0" in name:
            raise errors.InvalidRequest(
                f"The name of the pool is {name[:40]!r}. Give 1 to {_NAME_LENGTH_MAX} characters.",
                field="name",
            )
        if not 0 <= request.limit <= pool_settings.SLOTS_MAX:
            raise errors.InvalidRequest(
                f"The limit of pool {name!r} is {request.limit}; it must be from 0 to "
                f"{pool_settings.SLOTS_MAX}. 0 closes the pool; to have no limit, delete the one "
                "it has.",
                field="limit",
            )
        await self._store.set_limit(name, request.limit)
        return pools_pb2.SetPoolLimitResponse(pool=await self._pool(name))

    async def DeletePool(
        self, request: pools_pb2.DeletePoolRequest, context: contexts.Context
    ) -> pools_pb2.DeletePoolResponse:
        """Take the limit of its own from a pool."""
        deleted = await self._store.delete_limit(request.name.replace("\0", "\ufffd"))
        return pools_pb2.DeletePoolResponse(deleted=deleted)

    async def _pool(self, name: str) -> pools_pb2.Pool:
        found = await self._pools()
        if name not in found:
            raise errors.UnknownPool(name)
        return found[name]

    async def _pools(self) -> dict[str, pools_pb2.Pool]:
        """Return the pools that definitions mention, that have a limit, or that are in use."""
        limits = await self._store.limits(self._settings.default_limit)
        usage = await self._store.usage(of_runs=self._of_runs)
        mentioned: dict[str, list[str]] = {}
        for name, view in sorted(self._registry.locations().items()):
            if view.definitions is not None:
                for pool in view.definitions.pools:
                    mentioned.setdefault(pool, []).append(name)
        found: dict[str, pools_pb2.Pool] = {}
        for pool in {*mentioned, *limits.own, *usage}:
            taken, waiting = usage.get(pool, (0, 0))
            found[pool] = pools_pb2.Pool(
                name=pool,
                limit=limits.of(pool),
                limit_is_default=pool not in limits.own and limits.default is not None,
                taken_count=taken,
                waiting_count=waiting,
                location_names=mentioned.get(pool, ()),
            )
        return found


def _slot(record: queue_records.SlotRecord) -> pools_pb2.PoolSlot:
    return pools_pb2.PoolSlot(
        run_id=record.run_id,
        step_key=record.step_key,
        location_name=record.location_name,
        request_time=moments.timestamp(record.request_time),
        grant_time=moments.timestamp(record.grant_time),
        priority=-record.rank,
    )
