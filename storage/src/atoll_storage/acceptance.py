"""Deciding which events of code servers are stored, and what they change on runs. No I/O.

Called by `appending` under the append lock with what the database holds, so that a decision cannot
be overtaken. The rules:

- A batch of an older session is refused as a whole.
- Events of a run count only from the code server that the run is bound to; others are fenced.
- For each run, events are taken in order of seq from one above the high-water mark: lower ones
  are repeats, and the first gap ends what is taken.
- A run changes its status along the lines below; a final one never changes. Late events are
  stored all the same.

```
QUEUED -> STARTING -> STARTED -> SUCCESS | FAILURE | CANCELED
             |            |
             +------------+---> CANCELING -> CANCELED | SUCCESS | FAILURE
```

A run that went on for too long is canceled in order to fail: its cancellation counts as a failure.
Events move a run forward only; QUEUED, STARTING and CANCELING are the host's own doing
(`run_store`).
"""

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence

from atoll.events.v1 import events_pb2
from atoll_storage import event_rows, records

UNKNOWN_RUN = "unknown run"

_BEGUN_OR_HANDED_OVER = frozenset(
    {
        records.RunStatus.STARTING,
        records.RunStatus.STARTED,
        records.RunStatus.CANCELING,
    }
)
_FINAL_KINDS = {
    "run_succeeded": records.RunStatus.SUCCESS,
    "run_failed": records.RunStatus.FAILURE,
    "run_canceled": records.RunStatus.CANCELED,
}
_RUN_KINDS = frozenset({"run_started", *_FINAL_KINDS})


@dataclasses.dataclass(slots=True)
class Producer:
    """A run and the code server it is bound to; changes as events are taken.

    Attributes:
        server_id: None while the run is bound to none.
        pending_failure: What a run that is being canceled fails with; None where it is not to.
        changed: Whether anything but the high-water mark changed.
    """

    run_id: str
    location_name: str
    status: records.RunStatus
    server_id: str | None
    attempt: int
    high_water: int
    start_time: dt.datetime | None = None
    end_time: dt.datetime | None = None
    build_id: str | None = None
    failure: bytes | None = None
    pending_failure: bytes | None = None
    changed: bool = False

    @property
    def cut_short(self) -> bool:
        """Whether the run ended without doing all that it was to do."""
        return self.status in {records.RunStatus.FAILURE, records.RunStatus.CANCELED}

    def refusal(self, batch: records.EventBatch) -> str | None:
        """Say why the code server of a batch may not write events of this run, None when it may."""
        if self.server_id is None:
            return f"the run is bound to no code server: it is {self.status.value}"
        if (self.location_name, self.server_id) != (batch.location_name, batch.server_id):
            return (
                f"the run is bound to code server {self.server_id!r} of location "
                f"{self.location_name!r} (attempt {self.attempt})"
            )
        return None

    def apply(self, event: events_pb2.Event, now: dt.datetime) -> None:
        """Change the run as an event says, if that is a legal step."""
        kind = event.WhichOneof("body")
        if kind not in _RUN_KINDS or self.status not in _BEGUN_OR_HANDED_OVER:
            return
        moment = event_rows.producer_time(event) or now
        if kind == "run_started":
            if self.status is records.RunStatus.STARTED:
                return
            if self.status is records.RunStatus.STARTING:
                self.status = records.RunStatus.STARTED
            self.start_time, self.build_id = moment, event.run_started.build_id.replace("\0", "")
        else:
            self.status, self.end_time = _FINAL_KINDS[kind], moment
            if kind == "run_canceled" and self.pending_failure is not None:
                # It was canceled in order to fail.
                self.status, self.failure = records.RunStatus.FAILURE, self.pending_failure
            elif kind == "run_failed":
                self.failure = event.run_failed.failure.SerializeToString()
        self.changed = True


@dataclasses.dataclass(slots=True)
class Verdict:
    """What becomes of one batch.

    Attributes:
        taken: The events to store, in order.
        fenced: The reasons, by run.
        runs: The runs whose events were looked at and not fenced.
        stale_epoch: The current epoch when the batch is of another session.
    """

    taken: list[events_pb2.Event] = dataclasses.field(default_factory=list[events_pb2.Event])
    fenced: dict[str, str] = dataclasses.field(default_factory=dict[str, str])
    runs: set[str] = dataclasses.field(default_factory=set[str])
    stale_epoch: int | None = None


def ends_a_run(event: events_pb2.Event) -> bool:
    """Say whether an event tells the end of a run."""
    return event.WhichOneof("body") in _FINAL_KINDS


def judge(
    batches: Sequence[records.EventBatch],
    epochs: Mapping[tuple[str, str], int],
    producers: Mapping[str, Producer],
    now: dt.datetime,
) -> list[Verdict]:
    """Decide on batches in their order.

    Args:
        batches: What code servers sent.
        epochs: The current epoch by (location, server id).
        producers: By run id, for each run of the batches that exists. Brought up to date in place.
        now: The time of the database, for events that carry none.
    """
    return [_judge_one(batch, epochs, producers, now) for batch in batches]


def _judge_one(
    batch: records.EventBatch,
    epochs: Mapping[tuple[str, str], int],
    producers: Mapping[str, Producer],
    now: dt.datetime,
) -> Verdict:
    verdict = Verdict()
    current = epochs.get((batch.location_name, batch.server_id), 0)
    if batch.epoch != current:
        verdict.stale_epoch = current
        return verdict
    for event in batch.events:
        run_id = event.run_id
        if run_id in verdict.fenced:
            continue
        producer = producers.get(run_id)
        if run_id not in verdict.runs:
            reason = UNKNOWN_RUN if producer is None else producer.refusal(batch)
            if reason is not None:
                verdict.fenced[run_id] = reason
                continue
            verdict.runs.add(run_id)
        # A repeat is below the next seq, and whatever follows a gap is above it.
        if producer is not None and event.seq == producer.high_water + 1:
            producer.high_water += 1
            producer.apply(event, now)
            verdict.taken.append(event)
    return verdict
