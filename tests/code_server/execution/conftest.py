"""Runs whose steps run in processes of their own."""

import dataclasses

import pytest

import atoll as dg
from atoll._definitions import events, runs
from atoll._execution import events as event_sinks
from atoll._execution import fork_hazards
from atoll._execution import runs as execution


@dataclasses.dataclass
class Told:
    """What a run told."""

    succeeded: bool
    events: list[events.Event]

    def of_type(self, *event_types: dg.EventType) -> list[events.Event]:
        return [one for one in self.events if one.event_type in event_types]

    def of_step(self, step_key: str) -> list[dg.EventType]:
        return [one.event_type for one in self.events if one.step_key == step_key]

    def failure_of(self, step_key: str):
        (failed,) = [
            one for one in self.of_type(dg.EventType.STEP_FAILURE) if one.step_key == step_key
        ]
        return failed.event_specific_data.failure


@pytest.fixture
def forking(monkeypatch):
    """Let this process fork: who runs tests has threads of its own, which no child uses."""
    monkeypatch.setattr(fork_hazards, "hazard", lambda: "")


@pytest.fixture
def run_job(forking, tmp_path):
    """Run a job as a run worker does."""
    del forking

    def run(job, sink=None, run=None, boundary=None, **definitions) -> Told:
        taken = event_sinks.ListSink() if sink is None else sink
        defs = dg.Definitions(jobs=[job], **definitions)
        with dg.Instance.ephemeral(str(tmp_path / "storage")) as instance:
            succeeded = execution.execute_run(
                defs, run or runs.Run(job.name), taken, instance, boundary=boundary
            )
        return Told(succeeded, taken.events)

    return run
