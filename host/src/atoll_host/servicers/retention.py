"""RetentionService: what is kept for how long, for everyone."""

from atoll.api.v1 import retention_pb2, retention_pb2_grpc
from atoll_host.retention import ages, sweeping
from atoll_host.servicers import contexts
from atoll_storage import retention_store

SWEEPS_SHOWN = 10


class RetentionServicer(retention_pb2_grpc.RetentionServiceServicer):
    """Shows what is kept, and sweeps."""

    def __init__(
        self,
        store: retention_store.RetentionStore,
        sweeper: sweeping.Sweeper,
        settings: ages.RetentionSettings,
    ) -> None:
        self._store = store
        self._sweeper = sweeper
        self._settings = settings

    async def GetRetention(
        self, request: retention_pb2.GetRetentionRequest, context: contexts.Context
    ) -> retention_pb2.GetRetentionResponse:
        """Return for how long each kind of thing is kept, and the newest sweeps."""
        rules: list[retention_pb2.RetentionRule] = []
        for subject, keep in self._settings.ages().items():
            rule = retention_pb2.RetentionRule(subject=subject, description=ages.SUBJECTS[subject])
            if keep is not None:
                rule.keep.FromTimedelta(keep)
            rules.append(rule)
        return retention_pb2.GetRetentionResponse(
            rules=rules, sweeps=await self._store.sweeps(SWEEPS_SHOWN)
        )

    async def RunRetention(
        self, request: retention_pb2.RunRetentionRequest, context: contexts.Context
    ) -> retention_pb2.RunRetentionResponse:
        """Remove what may go now, or count it."""
        sweep = await self._sweeper.sweep(dry_run=request.dry_run)
        return retention_pb2.RunRetentionResponse(sweep=sweep)
