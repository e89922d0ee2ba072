"""Turns what an evaluation came to into what is to be stored. Pure.

Called by `leading` after each evaluation. Everything that it decided goes into one
`condition_records.ConditionCommit`: what is remembered of the targets, why, and the runs. A run
that its location could not execute fails the targets that it is for, and nothing else: they say
what is wrong and are tried again later.
"""

import dataclasses
from collections.abc import Callable, Mapping

from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities, entity_subsets, facts, states, ticking, views
from atoll.api.v1 import automation_pb2, conditions_pb2
from atoll.definitions.v1 import values_pb2
from atoll_host import errors
from atoll_host.automation.conditions import explaining, graphs, grouping, holding, writing
from atoll_host.runs import partitions, requests
from atoll_storage import asset_keys, condition_records, records

Entity = entities.Entity
Subset = entity_subsets.EntitySubset

CONDITION_TAG = "atoll/automation_condition"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """What is remembered of a target.

    Attributes:
        version: The version in storage, 0 for one that was never evaluated.
        state: What its last evaluation left; None at first.
        held: What of it waits for something in another run.
        failures: How many evaluations failed in a row.
        signature: What the last evaluation came to (`shapes.Told.signature`); None where unknown.
    """

    version: int = 0
    state: states.TargetState | None = None
    held: holding.Held | None = None
    failures: int = 0
    signature: int | None = None


NEW = Target()
Targets = Mapping[Entity, Target]


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """An evaluation, as far as its commit is concerned.

    Attributes:
        blueprint: The definitions.
        targets: What was remembered of the targets.
        sensors: The versions of the sensors' states.
        view: What was known.
        tick: Which evaluation it was.
        outcome: What it came to.
        pending: Targets that wait for what their custom conditions say: they were not evaluated.
    """

    blueprint: graphs.Blueprint
    targets: Targets
    sensors: Mapping[records.SensorKey, int]
    view: views.View
    tick: ticking.Tick
    outcome: ticking.Outcome
    pending: frozenset[Entity] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """What is to be stored, and what is to be remembered once it is.

    Attributes:
        commit: What is to be stored.
        targets: What is then remembered of the targets that it moves on.
        evaluated: Those of them that were evaluated.
        failed: Those that failed.
    """

    commit: condition_records.ConditionCommit
    targets: Targets
    evaluated: frozenset[Entity]
    failed: frozenset[Entity]


def target_key(entity: Entity) -> str:
    """Return the text that stands for a target in storage."""
    return asset_keys.encode_target(entity.kind, entity.path, entity.name)


def decide(case: Case, new_id: Callable[[], str]) -> Decision:
    """Return what is to be stored of an evaluation.

    Args:
        case: The evaluation.
        new_id: Makes the ids of runs and ticks.
    """
    return _Deciding(case, new_id).decide()


@dataclasses.dataclass(slots=True)
class _Parted:
    """What is requested, as runs and as what waits."""

    settled: holding.Settled
    at_once: dict[Entity, Subset]
    held: dict[Entity, holding.Held]
    runs: list[tuple[grouping.Group, records.NewRun]]
    run_ids: dict[Entity, list[str]]


class _Deciding:
    def __init__(self, case: Case, new_id: Callable[[], str]) -> None:
        self._case = case
        self._new_id = new_id
        self._facts = facts.Facts(case.blueprint.graph, case.view)
        self._explainer = explaining.Explainer(case.view.partitions)
        self._writer = writing.Writer()
        self._time = explaining.timestamp(case.tick.now.timestamp())
        self._failures: dict[Entity, values_pb2.Failure] = {
            entity: values_pb2.Failure(type="ConditionFailed", message=text)
            for entity, text in case.outcome.failures.items()
            if entity not in case.pending
        }
        self._ticks: dict[records.SensorKey, str] = {}
        self._checked: dict[object, records.NewRun | errors.HostError] = {}

    def decide(self) -> Decision:
        parted = self._part()
        case = self._case
        changed: dict[Entity, Target] = {}
        rows: list[condition_records.EvaluatedTarget] = []
        evaluations: list[condition_records.EvaluationRecord] = []
        for entity, state in case.outcome.states.items():
            if entity in self._failures or entity not in case.blueprint.sensors:
                continue
            before = case.targets.get(entity, NEW)
            after = Target(
                version=before.version + 1,
                state=state,
                held=parted.held.get(entity),
                signature=case.outcome.explanations[entity].signature,
            )
            changed[entity] = after
            row = self._row(entity, before, after)
            rows.append(row)
            if self._is_news(entity, before, after, parted):
                evaluations.append(self._evaluation(row.target_key, entity, parted))
        for entity, failure in self._failures.items():
            before = case.targets.get(entity, NEW)
            failures = before.failures + 1
            changed[entity] = dataclasses.replace(
                before, version=before.version + 1, failures=failures
            )
            rows.append(
                condition_records.EvaluatedTarget(
                    target_key(entity),
                    before.version,
                    case.blueprint.sensors[entity],
                    failures=failures,
                    failure=failure,
                    stays=True,
                )
            )
        commit = condition_records.ConditionCommit(
            position=case.tick.position,
            evaluation_time=case.tick.now,
            sensors=self._rounds(changed, parted),
            targets=rows,
            evaluations=evaluations,
            runs=[run for _, run in parted.runs],
        )
        failed = frozenset(self._failures)
        return Decision(commit, changed, frozenset(changed) - failed, failed)

    def _part(self) -> _Parted:
        """Part what is requested into runs and what waits; what cannot be run fails its targets."""
        case = self._case
        held_before = {
            entity: target.held
            for entity, target in case.targets.items()
            if target.held is not None
        }
        while True:
            evaluated = [
                one
                for one in held_before
                if one in case.outcome.states and one not in self._failures
            ]
            settled = holding.settle(self._facts, case.view, held_before, evaluated)
            requested = self._requested(settled.released)
            at_once, held = holding.part(self._facts, requested, settled.kept, case.tick.position)
            found = grouping.groups(case.blueprint, at_once, case.view.partitions)
            runs = [(group, self._run(group)) for group in found]
            broken = {
                entity: run
                for group, run in runs
                if isinstance(run, errors.HostError)
                for entity in group.members
            }
            if not broken:
                made = [(group, run) for group, run in runs if isinstance(run, records.NewRun)]
                run_ids: dict[Entity, list[str]] = {}
                for group, run in made:
                    for entity in group.members:
                        run_ids.setdefault(entity, []).append(run.run_id)
                return _Parted(settled, at_once, held, made, run_ids)
            self._fail(broken)

    def _fail(self, broken: Mapping[Entity, errors.HostError]) -> None:
        graph = self._case.blueprint.graph
        for entity, error in broken.items():
            for one in (entity, *graph.node(entity).unit):
                if one in self._case.blueprint.sensors:
                    self._failures[one] = values_pb2.Failure(
                        type=type(error).__name__, message=str(error)
                    )

    def _requested(self, released: Mapping[Entity, Subset]) -> dict[Entity, Subset]:
        """Return what is requested or released, of what did not fail."""
        graph = self._case.blueprint.graph
        found = {
            entity: subset
            for entity, subset in self._case.outcome.requested.items()
            if not self._is_broken(entity)
        }
        for entity, subset in released.items():
            for one in (entity, *graph.node(entity).unit):
                same = subset if one == entity else self._facts.same(subset, one)
                found[one] = found[one] | same if one in found else same
        return found

    def _is_broken(self, entity: Entity) -> bool:
        unit = self._case.blueprint.graph.node(entity).unit
        return any(one in self._failures for one in (entity, *unit))

    def _run(self, group: grouping.Group) -> records.NewRun | errors.HostError:
        """Return the run of a group, or what is wrong with it."""
        named = (group.sensor, group.members, requests.partition_texts(group.requested))
        found = self._checked.get(named)
        if found is None:
            try:
                found = self._checked_run(group)
            except errors.HostError as error:
                found = error
            self._checked[named] = found
        return found

    def _checked_run(self, group: grouping.Group) -> records.NewRun:
        blueprint, key = self._case.blueprint, group.sensor
        place = requests.Place(
            key.location_name,
            blueprint.locations[key.location_name],
            blueprint.owners.owner,
            blueprint.owners.check_owner,
            self._dynamic(group),
        )
        tick_id = self._ticks.get(key)
        if tick_id is None:
            tick_id = self._ticks[key] = self._new_id()
        run = requests.launch(place, group.requested, self._new_id())
        system_tags = {
            CONDITION_TAG: "true",
            requests.SENSOR_NAME_TAG: key.sensor_name,
            requests.TICK_TAG: tick_id,
        }
        return dataclasses.replace(
            run,
            tags={**run.tags, **system_tags},
            sensor_name=key.sensor_name,
            tick_id=tick_id,
        )

    def _dynamic(self, group: grouping.Group) -> partitions.DynamicKeys:
        """Return what is known of the keys of dynamic partitions that a run may mean."""
        texts = set(partitions.candidates(requests.partition_texts(group.requested)))
        store = self._case.view.partitions.store
        names = self._case.blueprint.locations[group.sensor.location_name].partitions.dynamic_names
        return partitions.DynamicKeys(
            existing={
                name: [key for key in store.get_dynamic_partitions(name) if key in texts]
                for name in (names if texts else ())
            }
        )

    def _row(
        self, entity: Entity, before: Target, after: Target
    ) -> condition_records.EvaluatedTarget:
        sensor = self._case.blueprint.sensors[entity]
        key = target_key(entity)
        if (
            before.failures == 0
            and before.held == after.held
            and _is_alike(before.state, after.state)
        ):
            return condition_records.EvaluatedTarget(key, before.version, sensor)
        encoded = b""
        if after.state is not None:
            encoded = self._writer.encoded(after.state, entity)
        held = None if after.held is None else holding.to_message(after.held).SerializeToString()
        return condition_records.EvaluatedTarget(
            key, before.version, sensor, state=encoded, held=held
        )

    def _is_news(self, entity: Entity, before: Target, after: Target, parted: _Parted) -> bool:
        if entity in parted.at_once or before.held != after.held or before.failures:
            return True
        if before.signature is None:
            return before.state is None
        return before.signature != after.signature

    def _evaluation(
        self, key: str, entity: Entity, parted: _Parted
    ) -> condition_records.EvaluationRecord:
        case = self._case
        sensor = case.blueprint.sensors[entity]
        run_ids = parted.run_ids.get(entity, [])
        requested = case.outcome.requested.get(entity)
        released = parted.settled.released.get(entity)
        held = parted.held.get(entity)
        dropped = parted.settled.dropped.get(entity)
        message = conditions_pb2.ConditionEvaluation(
            entity=entity_messages.to_message(entity),
            evaluation_id=case.tick.evaluation_id,
            evaluation_time=self._time,
            location_name=sensor.location_name,
            sensor_name=sensor.sensor_name,
            tick_id=self._ticks.get(sensor, "") if run_ids else "",
            event_id=case.tick.position,
            run_ids=run_ids,
            held=None if held is None else self._explainer.partitions(held.subset.value),
            dropped=None if dropped is None else self._explainer.partitions(dropped.value),
        )
        for subset in (requested, released):
            if subset is not None:
                message.requested.CopyFrom(self._explainer.partitions(subset.value))
        size = sum(0 if subset is None else subset.size for subset in (requested, released))
        return condition_records.EvaluationRecord(
            key,
            case.tick.evaluation_id,
            case.tick.now,
            size,
            # One message after the other is what both say, as one.
            message.SerializeToString()
            + self._explainer.encoded(case.outcome.explanations[entity]),
        )

    def _rounds(self, changed: Targets, parted: _Parted) -> list[condition_records.SensorRound]:
        """Return what each sensor did, in one order everywhere."""
        keys = {self._case.blueprint.sensors[entity] for entity in changed}
        ordered = sorted(keys, key=lambda key: (key.location_name, key.sensor_name))
        return [
            condition_records.SensorRound(key, self._case.sensors[key], self._tick(key, parted))
            for key in ordered
        ]

    def _tick(self, key: records.SensorKey, parted: _Parted) -> automation_pb2.Tick | None:
        """Return the tick of a sensor that has runs made."""
        tick_id = self._ticks.get(key)
        if tick_id is None or all(run.tick_id != tick_id for _, run in parted.runs):
            return None
        tick = automation_pb2.Tick(
            tick_id=tick_id,
            location_name=key.location_name,
            sensor_name=key.sensor_name,
            status=automation_pb2.TICK_STATUS_SUCCESS,
        )
        tick.start_time.FromDatetime(self._case.tick.now)
        return tick


def _is_alike(before: states.TargetState | None, after: states.TargetState | None) -> bool:
    """Say whether two states differ in nothing but when they are from."""
    return (
        before is not None
        and after is not None
        and before.nodes == after.nodes
        and before.requested == after.requested
        and before.settling == after.settling
        and before.partitions == after.partitions
    )
