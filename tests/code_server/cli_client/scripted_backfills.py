# ruff: noqa: N802 - the names of rpcs
"""The part of the scripted host that has backfills."""

from atoll.api.v1 import backfills_pb2, backfills_pb2_grpc
from atoll.definitions.v1 import values_pb2

STATUS = backfills_pb2.BackfillStatus


class ScriptedBackfills(backfills_pb2_grpc.BackfillsServiceServicer):
    """Answers from its attributes.

    Attributes:
        backfills: What there is.
        coming: What the next looks at a backfill find, one after the other.
        asked: The requests for new ones.
        steered: What was done to which backfill.
    """

    def __init__(self) -> None:
        self.backfills: list[backfills_pb2.Backfill] = []
        self.coming: list[backfills_pb2.Backfill] = []
        self.asked: list[backfills_pb2.CreateBackfillRequest] = []
        self.steered: list[tuple[str, str]] = []

    async def CreateBackfill(self, request, context):
        self.asked.append(request)
        made = backfills_pb2.Backfill(
            backfill_id="" if request.dry_run else "b1",
            title=request.title,
            counts=backfills_pb2.BackfillCounts(total=4, waiting=4),
        )
        for key in request.asset_keys or [values_pb2.AssetKey()]:
            counts = backfills_pb2.BackfillCounts(total=2, waiting=2)
            made.parts.add(
                asset_key=key, job_name=request.job_name, location_name="lake", counts=counts
            )
        return backfills_pb2.CreateBackfillResponse(backfill=made)

    async def GetBackfill(self, request, context):
        found = self.coming.pop(0) if self.coming else self.backfills[0]
        return backfills_pb2.GetBackfillResponse(backfill=found)

    async def ListBackfills(self, request, context):
        chosen = [
            one for one in self.backfills if not request.statuses or one.status in request.statuses
        ]
        return backfills_pb2.ListBackfillsResponse(backfills=chosen)

    async def ListBackfillPartitions(self, request, context):
        states = backfills_pb2.BackfillPartitionState.values()[1:]
        found = [
            backfills_pb2.BackfillPartition(partition_key=f"p{number}", state=state)
            for number, state in enumerate(states)
            if request.state in {0, state}
        ]
        return backfills_pb2.ListBackfillPartitionsResponse(partitions=found)

    async def CancelBackfill(self, request, context):
        return backfills_pb2.CancelBackfillResponse(backfill=self._steer("cancel", request, 3))

    async def PauseBackfill(self, request, context):
        return backfills_pb2.PauseBackfillResponse(backfill=self._steer("pause", request, 2))

    async def ResumeBackfill(self, request, context):
        return backfills_pb2.ResumeBackfillResponse(backfill=self._steer("resume", request, 1))

    async def RetryBackfill(self, request, context):
        return backfills_pb2.RetryBackfillResponse(backfill=self._steer("retry", request, 1))

    def _steer(self, how: str, request, status: int) -> backfills_pb2.Backfill:
        self.steered.append((how, request.backfill_id))
        return backfills_pb2.Backfill(backfill_id=request.backfill_id, status=status)
