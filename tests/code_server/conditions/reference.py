"""What conditions come to, slow and obvious: partition by partition, over the whole history.

Nothing is remembered: what was true at an earlier evaluation is worked out again from what was
known then. Answers are None where a condition is false, else the moment since when it is true, or
`ALWAYS` where it has none.
"""

import dataclasses
from collections.abc import Mapping

from atoll._conditions import conditions, entities, operands
from tests.code_server.conditions import worlds

ALWAYS = -1.0


@dataclasses.dataclass(frozen=True)
class Moment:
    """An evaluation: what was known, and the conditions at the time."""

    world: worlds.World
    wanted: Mapping[entities.Entity, conditions.Condition]


class Reference:
    """Answers for all evaluations so far."""

    def __init__(self):
        self.moments = []
        # By evaluation: what was requested, by entity.
        self.requested = []
        self._known = {}

    def evaluate(self, moment, order):
        """Return what an evaluation requests, by target."""
        self.moments.append(moment)
        self.requested.append({})
        number = len(self.moments) - 1
        for target in order:
            if target not in moment.wanted:
                continue
            found = {
                key
                for key in moment.world.keys_of(target)
                if self._holds(moment.wanted[target], target, key, number, target) is not None
            }
            self.requested[number].setdefault(target, set()).update(found)
            if target == _last_of_unit(moment, order):
                whole = set().union(*(self.requested[number].get(one, ()) for one in worlds.UNIT))
                for one in worlds.UNIT:
                    self.requested[number][one] = set(whole)
        return {entity: keys for entity, keys in self.requested[number].items() if keys}

    def _holds(self, node, entity, key, number, root):
        place = (id(node), entity, key, number, root)
        # What this evaluation requests grows while it goes on, and each root asks at its own time.
        if place not in self._known:
            self._known[place] = self._work_out(node, entity, key, number, root)
        return self._known[place]

    def _work_out(self, node, entity, key, number, root):
        world = self.moments[number].world
        if key not in world.keys_of(entity):
            return None
        name = f"_{type(node).__name__}"
        return getattr(self, name)(node, entity, key, number, root)

    def _earlier(self, number, root):
        """Tell whether the root was evaluated before."""
        return number > 0 and root in self.moments[number - 1].wanted

    def _And(self, node, *where):  # noqa: N802 - called like the node
        found = [self._holds(part, *where) for part in node.operands]
        return None if None in found else max(found)

    def _Or(self, node, *where):  # noqa: N802 - called like the node
        found = [self._holds(part, *where) for part in node.operands]
        return max((one for one in found if one is not None), default=None)

    def _Not(self, node, *where):  # noqa: N802 - called like the node
        return ALWAYS if self._holds(node.operand, *where) is None else None

    def _NewlyTrue(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        if self._holds(node.operand, entity, key, number, root) is None:
            return None
        before = self._earlier(number, root) and (
            self._holds(node.operand, entity, key, number - 1, root) is not None
        )
        return None if before else ALWAYS

    def _Since(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        trigger = self._holds(node.trigger, entity, key, number, root)
        reset = self._holds(node.reset, entity, key, number, root)
        before = self._earlier(number, root) and (
            self._holds(node, entity, key, number - 1, root) is not None
        )
        true = before or trigger is not None
        if reset is not None:
            true = trigger is not None and trigger > reset > ALWAYS
        if not true:
            return None
        return ALWAYS if trigger is None else trigger

    def _AnyDeps(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._any(node, self._deps(node, entity), entity, key, number, root)

    def _AllDeps(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._all(node, self._deps(node, entity), entity, key, number, root)

    def _AnyChecks(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._any(node, _checks(node, entity), entity, key, number, root)

    def _AllChecks(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._all(node, _checks(node, entity), entity, key, number, root)

    def _AnyJobRoots(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._any(node, _roots(entity), entity, key, number, root)

    def _AllJobRoots(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._all(node, _roots(entity), entity, key, number, root)

    def _AssetMatches(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        return self._any(node, [entities.asset(node.path)], entity, key, number, root)

    def _AnyDownstream(self, node, entity, key, number, root):  # noqa: N802 - called like the node
        wanted = self.moments[number].wanted
        found = [
            self._holds(wanted[one], entity, key, number, root)
            for one in _below(entity)
            if one in wanted and wanted[one] != wanted[root]
        ]
        return ALWAYS if any(one is not None for one in found) else None

    def _any(self, node, asked, entity, key, number, root):
        found = [
            self._holds(node.operand, one, other, number, root)
            for one in asked
            for other in self._belonging(entity, key, one, number)
        ]
        return max((one for one in found if one is not None), default=None)

    def _all(self, node, asked, entity, key, number, root):
        for one in asked:
            others = self._belonging(entity, key, one, number)
            if all(self._holds(node.operand, one, o, number, root) is None for o in others):
                return None
        return ALWAYS

    def _belonging(self, entity, key, other, number):
        """Return the partitions of another that belong to one of these."""
        there = self.moments[number].world.keys_of(other)
        mine, theirs = worlds.PARTITIONS.get(entity), worlds.PARTITIONS.get(other)
        if mine is not None and mine == theirs:
            return [one for one in there if one == key]
        return there

    def _deps(self, node, entity):
        found = [one for one in worlds.UPSTREAM[entity] if one.kind == entities.ASSET]
        daily = {worlds.BY_DAY, worlds.BY_DAY_TOO}
        if node.allow is not None:
            found = [one for one in found if one in daily]
        if node.ignore is not None:
            found = [one for one in found if one not in daily]
        return found

    def _Missing(self, _node, entity, key, number, _root):  # noqa: N802 - called like the node
        world = self.moments[number].world
        there = {one.partition for one in world.updates.get(entity, [])}
        return None if key in there else ALWAYS

    def _fact(self, name, entity, key, number):
        facts = self.moments[number].world.facts
        return ALWAYS if key in facts.get((name, entity), ()) else None

    def _RunInProgress(self, _node, entity, key, number, _root):  # noqa: N802
        return self._fact("run", entity, key, number)

    def _BackfillInProgress(self, _node, entity, key, number, _root):  # noqa: N802
        return self._fact("backfill", entity, key, number)

    def _ExecutionFailed(self, _node, entity, key, number, _root):  # noqa: N802
        return self._fact("failed", entity, key, number)

    def _CheckResult(self, node, entity, key, number, _root):  # noqa: N802
        return self._fact("passed" if node.passed else "check_failed", entity, key, number)

    def _Custom(self, _node, entity, key, number, _root):  # noqa: N802
        return self._fact("custom", entity, key, number)

    def _Freshness(self, node, entity, _key, number, _root):  # noqa: N802
        stale = bool(self.moments[number].world.facts.get(("stale", entity)))
        return ALWAYS if node.state == ("fail" if stale else "pass") else None

    def _InitialEvaluation(self, _node, _entity, _key, number, root):  # noqa: N802
        return None if self._earlier(number, root) else self._time(number)

    def _InLatestTimeWindow(self, node, entity, key, number, _root):  # noqa: N802
        world = self.moments[number].world
        if worlds.PARTITIONS.get(entity) is not worlds.DAYS:
            return ALWAYS
        days = 1 if node.lookback_s is None else int(node.lookback_s // 86_400)
        return ALWAYS if key in world.keys_of(entity)[-days:] else None

    def _WillBeRequested(self, _node, entity, key, number, root):  # noqa: N802
        mine, theirs = worlds.PARTITIONS.get(root), worlds.PARTITIONS.get(entity)
        together = mine == theirs and worlds.SOURCE not in (entity, root)
        if together and key in self.requested[number].get(entity, ()):
            return self._time(number)
        return None

    def _NewlyRequested(self, _node, entity, key, number, _root):  # noqa: N802
        if number == 0 or entity not in self.moments[number - 1].wanted:
            return None
        before = self.requested[number - 1].get(entity, ())
        return self._time(number - 1) if key in before else None

    def _NewlyUpdated(self, _node, entity, key, number, root):  # noqa: N802
        found = [one.timestamp for one in self._new(entity, key, number, root)]
        return found[-1] if found else None

    def _DataVersionChanged(self, _node, entity, key, number, root):  # noqa: N802
        found = [one.timestamp for one in self._new(entity, key, number, root) if one.new_data]
        return found[-1] if found else None

    def _CodeVersionChanged(self, _node, entity, _key, number, root):  # noqa: N802
        if not self._earlier(number, root):
            return None
        now = self.moments[number].world.code_versions.get(entity)
        before = self.moments[number - 1].world.code_versions.get(entity)
        return ALWAYS if now != before else None

    def _CronTickPassed(self, node, _entity, _key, number, root):  # noqa: N802
        assert node.cron_schedule == "0 0 * * *"
        if not self._earlier(number, root):
            return None
        midnight = self._time(number) // 86_400 * 86_400
        return midnight if midnight > self._time(number - 1) else None

    def _ExecutedWithRootTarget(self, _node, entity, key, number, root):  # noqa: N802
        run = self._latest_run(entity, key, number)
        together = run is not None and root in run.targets and entity != root
        return ALWAYS if together else None

    def _ExecutedWithTags(self, node, entity, key, number, _root):  # noqa: N802
        run = self._latest_run(entity, key, number)
        return ALWAYS if run is not None and _has_tags(run, node) else None

    def _AnyNewUpdateHasRunTags(self, node, entity, key, number, root):  # noqa: N802
        fits = [self._run_fits(one, node, number) for one in self._new(entity, key, number, root)]
        return ALWAYS if any(fits) else None

    def _AllNewUpdatesHaveRunTags(self, node, entity, key, number, root):  # noqa: N802
        fits = [self._run_fits(one, node, number) for one in self._new(entity, key, number, root)]
        return ALWAYS if fits and all(fits) else None

    def _new(self, entity, key, number, root):
        if not self._earlier(number, root):
            return []
        seen = self.moments[number - 1].world.position
        return [
            one
            for one in self.moments[number].world.updates.get(entity, [])
            if one.partition == key and one.position > seen
        ]

    def _run_fits(self, happened, node, number):
        run = self.moments[number].world.runs.get(happened.run_id)
        return run is not None and _has_tags(run, node)

    def _latest_run(self, entity, key, number):
        world = self.moments[number].world
        ids = [one.run_id for one in world.updates.get(entity, []) if one.partition == key]
        return world.runs.get(ids[-1]) if ids else None

    def _time(self, number):
        return self.moments[number].world.now.timestamp()


def _last_of_unit(moment, order):
    found = [one for one in order if one in worlds.UNIT and one in moment.wanted]
    return found[-1] if found else None


def _checks(node, entity):
    found = [one for one in (worlds.CHECK, worlds.BLOCKING) if one.path == entity.path]
    if entity.kind != entities.ASSET:
        return []
    return [one for one in found if one == worlds.BLOCKING or not node.blocking_only]


def _roots(entity):
    return [worlds.ONE] if entity == worlds.JOB else []


def _below(entity):
    found = set()
    waiting = [entity]
    while waiting:
        one = waiting.pop()
        for other, upstream in worlds.UPSTREAM.items():
            if one in upstream and other not in found and other.kind == entities.ASSET:
                found.add(other)
                waiting.append(other)
    return sorted(found)


def _has_tags(run, node: operands.RunTags):
    return set(node.tag_keys or ()) <= set(run.tags) and all(
        run.tags.get(name) == value for name, value in node.tag_values or ()
    )
