"""Asks the host for slots of pools, for the steps of a run.

Made by `run_worker`, used by the executors through `_execution.slots`. It has a connection to the
code server of its own, so that a question that waits keeps no other one waiting. There is one
question at a time for each set of steps; a newer one for more steps takes its place, and whatever
the older one still brings is taken too. Questions may overtake each other on their way, so nothing
is asked while something is being given back, and for that no answer to an older question counts.
While the code server or the host is away, steps that need a slot wait: nobody else can know whether
there is one.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping

from atoll._execution import slots, steps
from atoll._location import errors, relay
from atoll.mesh.v1 import slots_pb2
from atoll.process.v1 import process_pb2

WAIT_S = 5
_PAUSE_S = 0.5
_LOOK_S = 0.001
_UNSUPPORTED = "UNSUPPORTED"
_OVER = "STALE_ATTEMPT"
_SILENCE_MAX_S = 30.0


class SlotClient:
    """A source of slots.

    Args:
        introduction: Where the code server listens, and who speaks.
        attempt: The attempt at the run.
        written_seq: Returns the seq of the last event that the run has written: slots of steps
            that ended before are free.
    """

    def __init__(
        self, introduction: relay.Introduction, attempt: int, written_seq: Callable[[], int]
    ) -> None:
        self._introduction = introduction
        self._attempt = attempt
        self._written_seq = written_seq
        self._channel: relay.ServerChannel | None = None
        self._query_id = 0
        self._wanted: dict[str, str] = {}
        self._open: set[str] = set()
        self._withdrawing = 0
        self._withdrawn: set[str] = set()
        self._valid_from: dict[str, int] = {}
        self._seen_waiting: set[str] = set()
        self._asked: dict[str, str] | None = None
        self._asked_at = 0.0
        self._next_try = 0.0
        self._problem = ""

    def want(self, wanted: Mapping[str, str]) -> None:
        """Ask for slots for steps, and for no others any more: what others have is given back.

        Args:
            wanted: The pool of each step.
        """
        self._wanted = dict(wanted)
        self._seen_waiting &= self._wanted.keys()
        self._ask()

    def fileno(self) -> int:
        """Return the descriptor of the connection; -1 while there is none."""
        return -1 if self._channel is None else self._channel.fileno()

    def take(self, timeout_s: float) -> slots.Told:
        """Return what was answered since the last call.

        Args:
            timeout_s: How long to wait for an answer.

        Raises:
            RunCanceledError: The run is over for the host: it was given up, or runs elsewhere.
        """
        deadline = time.monotonic() + timeout_s
        granted: set[str] = set()
        waiting: dict[str, int] = {}
        while True:
            self._ask()
            left_s = max(0.0, deadline - time.monotonic())
            answer = self._receive(min(left_s, _PAUSE_S) if self._channel is None else left_s)
            if answer is None:
                if self._channel is None and time.monotonic() < deadline and not self._problem:
                    continue
                break
            granted.update(self._wanted.keys() & answer.granted_step_keys)
            waiting.update({each.step_key: each.limit for each in answer.waiting})
            self._seen_waiting.update(waiting)
            for step_key in granted:
                self._wanted.pop(step_key, None)
                self._open.discard(step_key)
            if granted or waiting:
                # What has come is enough to go on with; a rest comes with the next call.
                break
        problem, self._problem = self._problem, ""
        return slots.Told(granted, waiting, problem)

    def forget(self) -> None:
        """In a forked child: close its copy of the connection, which is the parent's."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._wanted, self._open, self._asked = {}, set(), None
        self._withdrawing = 0

    def _ask(self) -> None:
        now = time.monotonic()
        if self._asked is not None and now - self._asked_at > _SILENCE_MAX_S:
            self._lose("the code server gave no answer")
        if self._withdrawing:
            # The host may do the two in either order, and take back what it has just granted.
            return
        withdrawn = sorted(self._open - self._wanted.keys())
        is_asked = not self._wanted or self._asked == self._wanted
        if (is_asked and not withdrawn) or now < self._next_try:
            return
        self._query_id += 1
        request = slots_pb2.AcquireSlotsRequest(
            run_id=self._introduction.run_id,
            attempt=self._attempt,
            wanted=[
                slots_pb2.WantedSlot(step_key=key, pool=pool)
                for key, pool in sorted(self._wanted.items())
            ],
            withdrawn_step_keys=withdrawn,
        )
        if not withdrawn and self._wanted.keys() <= self._seen_waiting:
            # That these wait was told; the first answer comes at once so that it can be.
            request.wait.FromSeconds(WAIT_S)
        query = process_pb2.InstanceQuery(
            query_id=self._query_id, acquire_slots=request, written_seq=self._written_seq()
        )
        try:
            if self._channel is None:
                self._channel = relay.open_channel(self._introduction)
            self._channel.send(process_pb2.ProcessMessage(instance_query=query))
        except (OSError, errors.FramingError):
            self._lose("the code server of this location is away")
        else:
            self._open = set(self._wanted)
            self._asked, self._asked_at = dict(self._wanted), now
            if withdrawn:
                self._withdrawing, self._withdrawn = self._query_id, set(withdrawn)
                self._valid_from.update(dict.fromkeys(withdrawn, self._query_id))

    def _receive(self, timeout_s: float) -> slots_pb2.AcquireSlotsResponse | None:
        """Return the next answer; None where none comes in time, or none can."""
        if self._channel is None:
            _pause(timeout_s)
            return None
        try:
            # A channel that is given no time at all does not look.
            message = self._channel.receive(max(timeout_s, _LOOK_S))
        except TimeoutError:
            return None
        except (OSError, errors.FramingError):
            message = None
        if message is None:
            self._lose("the code server of this location is away")
            return None
        answer = message.instance_answer
        if answer.query_id == self._query_id:
            self._asked = None
        if answer.query_id == self._withdrawing:
            self._end_withdrawing(done=not answer.HasField("error"))
        if answer.HasField("error") and answer.error.reason == _UNSUPPORTED:
            # A host of an earlier release, which knows no pools.
            return slots_pb2.AcquireSlotsResponse(granted_step_keys=list(self._wanted))
        if answer.error.reason == _OVER:
            text = "The host has given the run up, so its steps get no slots."
            raise steps.RunCanceledError(text)
        if answer.HasField("error"):
            self._next_try = time.monotonic() + _PAUSE_S
            self._problem = f"the host gave none ({answer.error.message.rstrip('.')})"
            return None
        found = answer.acquire_slots
        counting = [
            step_key
            for step_key in found.granted_step_keys
            if answer.query_id >= self._valid_from.get(step_key, 0)
        ]
        return slots_pb2.AcquireSlotsResponse(granted_step_keys=counting, waiting=found.waiting)

    def _end_withdrawing(self, *, done: bool) -> None:
        if not done:
            # Nobody knows whether it was: it is said again, unless it is wanted again.
            self._open |= self._withdrawn
        self._withdrawing, self._withdrawn = 0, set()

    def _lose(self, why: str) -> None:
        if self._channel is not None:
            self._channel.close()
        self._channel, self._asked = None, None
        self._end_withdrawing(done=False)
        self._next_try = time.monotonic() + _PAUSE_S
        self._problem = why


def _pause(seconds: float) -> None:
    """Wait so that a signal which cancels the run is taken at once."""
    if seconds > 0:
        select.poll().poll(seconds * 1000)
