"""Backfills, as a host knows them: begin, look at, steer."""

import dataclasses
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Final, cast

import grpc.aio

from atoll.api.v1 import backfills_pb2, backfills_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import partitions_pb2, values_pb2

FINAL_STATUSES: Final = frozenset(
    {
        backfills_pb2.BACKFILL_STATUS_COMPLETED_SUCCESS,
        backfills_pb2.BACKFILL_STATUS_COMPLETED_FAILED,
        backfills_pb2.BACKFILL_STATUS_CANCELED,
        backfills_pb2.BACKFILL_STATUS_FAILED,
    }
)
CREATE_DEADLINE_S: Final = 60.0


@dataclasses.dataclass(frozen=True)
class NewBackfill:
    """What to backfill.

    Attributes:
        asset_keys: The assets, of any locations.
        job_name: The job, instead of assets.
        location_name: The location of the job; may be empty where only one has it.
        partition_keys: Partitions of the assets that need no other chosen one.
        partition_ranges: Ranges of such partitions, by the first and the last.
        choice: Which of them are meant.
        title: What it is for, in words.
        tags: Labels of all its runs.
        dry_run: Only tells what would be requested.
        request_id: Makes it idempotent: repeating it returns the first backfill.
    """

    asset_keys: Sequence[values_pb2.AssetKey] = ()
    job_name: str = ""
    location_name: str = ""
    partition_keys: Sequence[str] = ()
    partition_ranges: Sequence[tuple[str, str]] = ()
    choice: "backfills_pb2.BackfillChoice.ValueType" = backfills_pb2.BACKFILL_CHOICE_UNSPECIFIED
    title: str = ""
    tags: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    dry_run: bool = False
    request_id: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))


class Backfills:
    """Begins, shows and steers backfills."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "backfills_pb2_grpc.BackfillsServiceAsyncStub",
            backfills_pb2_grpc.BackfillsServiceStub(channel),
        )
        self._caller = caller

    async def create(self, new: NewBackfill) -> backfills_pb2.Backfill:
        """Begin a backfill, or only tell what it would be. What was sent twice is done once."""
        request = backfills_pb2.CreateBackfillRequest(
            request_id=new.request_id,
            title=new.title,
            tags=new.tags,
            asset_keys=new.asset_keys,
            job_name=new.job_name,
            location_name=new.location_name,
            partition_keys=new.partition_keys,
            partition_ranges=[
                partitions_pb2.PartitionKeyRange(start=start, end=end)
                for start, end in new.partition_ranges
            ],
            choice=new.choice,
            dry_run=new.dry_run,
        )
        answer = await self._caller.unary(
            self._stub.CreateBackfill, request, deadline_s=CREATE_DEADLINE_S
        )
        return answer.backfill

    async def get(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Return one backfill with its progress."""
        request = backfills_pb2.GetBackfillRequest(backfill_id=backfill_id)
        return (await self._caller.unary(self._stub.GetBackfill, request)).backfill

    def list(
        self,
        *,
        statuses: "Sequence[backfills_pb2.BackfillStatus.ValueType]" = (),
        limit: int | None = None,
    ) -> AsyncIterator[backfills_pb2.Backfill]:
        """Yield backfills, newest first.

        Args:
            statuses: Only those in these states; none means any.
            limit: How many at the most; None means all.
        """

        async def fetch(size: int, token: str) -> tuple[Sequence[backfills_pb2.Backfill], str]:
            request = backfills_pb2.ListBackfillsRequest(
                page_size=size, page_token=token, statuses=statuses
            )
            answer = await self._caller.unary(self._stub.ListBackfills, request)
            return answer.backfills, answer.next_page_token

        return calls.paged(fetch, limit)

    def partitions(
        self,
        backfill_id: str,
        key: values_pb2.AssetKey | None = None,
        *,
        state: "backfills_pb2.BackfillPartitionState.ValueType" = (
            backfills_pb2.BACKFILL_PARTITION_STATE_UNSPECIFIED
        ),
        limit: int | None = None,
    ) -> AsyncIterator[backfills_pb2.BackfillPartition]:
        """Yield partitions of one asset of a backfill in their order.

        Args:
            backfill_id: The backfill.
            key: The asset; None for the job of a backfill of a job.
            state: Only those in this state; unspecified means all.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[backfills_pb2.BackfillPartition], str]:
            request = backfills_pb2.ListBackfillPartitionsRequest(
                backfill_id=backfill_id,
                asset_key=key,
                state=state,
                page_size=size,
                page_token=token,
            )
            answer = await self._caller.unary(self._stub.ListBackfillPartitions, request)
            return answer.partitions, answer.next_page_token

        return calls.paged(fetch, limit)

    async def cancel(self, backfill_id: str) -> backfills_pb2.Backfill:
        """End a backfill: nothing more is requested, and its runs are canceled."""
        request = backfills_pb2.CancelBackfillRequest(backfill_id=backfill_id)
        return (await self._caller.unary(self._stub.CancelBackfill, request)).backfill

    async def pause(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Have a backfill request nothing more until it is resumed."""
        request = backfills_pb2.PauseBackfillRequest(backfill_id=backfill_id)
        return (await self._caller.unary(self._stub.PauseBackfill, request)).backfill

    async def resume(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Have a paused backfill go on."""
        request = backfills_pb2.ResumeBackfillRequest(backfill_id=backfill_id)
        return (await self._caller.unary(self._stub.ResumeBackfill, request)).backfill

    async def retry(self, backfill_id: str) -> backfills_pb2.Backfill:
        """Have a backfill request again what failed, and then what waited for it."""
        request = backfills_pb2.RetryBackfillRequest(backfill_id=backfill_id)
        return (await self._caller.unary(self._stub.RetryBackfill, request)).backfill
