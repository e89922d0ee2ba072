"""How far a run has come: which steps are ready, which are left out, and copies of mapped steps.

Called by the executors, which run what is ready and record what became of it. Pure: nothing is run
or stored here. States of a step:

```
waiting --all it needs ended, and gave what it takes--> ready --taken--> running --> ended
   |----- something it takes was not given ----------------------------> left out
```

A step that is mapped over a dynamic output never runs itself: once that output's values are known
it stands for its copies, one a value, and has ended when all of them have.
"""

import dataclasses
import heapq
import itertools
from collections.abc import Iterable, Mapping, Sequence

from atoll import _records as records
from atoll._execution import planning, step_sources


class Outcome(records.Record):
    """What became of a step.

    Attributes:
        succeeded: Whether it did what it is for.
        left_out: Whether it was not run, because something it takes was not given.
        after_failure: Whether it was left out because a step before it failed, and not by design.
        outputs: What it gave: the mapping keys of each output's values; `(None,)` for one that is
            not dynamic.
    """

    succeeded: bool
    left_out: bool = False
    after_failure: bool = False
    outputs: Mapping[str, Sequence[str | None]] = {}

    def gave(self, output_name: str | None, mapping_key: str | None = None) -> bool:
        """Tell whether it gave an output; None asks whether it succeeded."""
        if output_name is None:
            return self.succeeded
        given = self.outputs.get(output_name)
        return given is not None and (mapping_key is None or mapping_key in given)


FAILED = Outcome(succeeded=False)
LEFT_OUT = Outcome(succeeded=False, left_out=True)
LEFT_OUT_AFTER_FAILURE = Outcome(succeeded=False, left_out=True, after_failure=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier runs did of a job that a run executes parts of.

    Attributes:
        outcomes: What became of their steps.
        run_ids: The run that executed each of these.
        asked: The steps that are executed again, copies of mapped ones by their own keys; None
            where all are.
    """

    outcomes: Mapping[str, Outcome] = dataclasses.field(default_factory=dict[str, Outcome])
    run_ids: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    asked: frozenset[str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class LeftOut:
    """A step that is not run, and the steps that did not give what it takes."""

    step: planning.Step
    upstream_keys: tuple[str, ...]


class Progress:
    """How far a run has come.

    Args:
        plan: What the run does.
        earlier: What steps gave that an earlier run executed and this one does not.
    """

    def __init__(self, plan: planning.Plan, earlier: Earlier | None = None) -> None:
        self._plan = plan
        self._earlier = earlier or Earlier()
        # Copies of mapped steps that are taken from an earlier run.
        self._reused: set[str] = set()
        self._steps: dict[str, planning.Step] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._waiting: dict[str, int] = {}
        self._downstream: dict[str, list[str]] = {}
        self._mapped: dict[str, list[planning.Step]] = {}
        self._copies: dict[str, list[str]] = {}
        self._copy_of: dict[str, str] = {}
        self._copies_left: dict[str, int] = {}
        self._ready: list[tuple[int, int, str]] = []
        self._positions = itertools.count()
        self._left_out: list[LeftOut] = []
        self._running: set[str] = set()
        self._planned = {one.key for one in plan.steps}
        ended: list[tuple[str, Outcome]] = []
        for step in plan.steps:
            if step.mapped_over is not None:
                self._mapped.setdefault(step.mapped_over.step_key, []).append(step)
            else:
                ended += self._add(step)
        for root in [one for one in self._mapped if one not in self._planned]:
            templates = self._mapped.pop(root)
            ended += self._expand(root, templates, self._earlier.outcomes.get(root, LEFT_OUT))
        for key, outcome in ended:
            self.record(key, outcome)

    @property
    def finished(self) -> bool:
        """Whether nothing is ready, running or waiting any more."""
        return not (self._ready or self._running or self._steps or self._mapped)

    def take(self) -> planning.Step | None:
        """Take the next ready step: the highest priority, then the first in the plan."""
        if not self._ready:
            return None
        _, _, key = heapq.heappop(self._ready)
        self._running.add(key)
        return self._steps.pop(key)

    def take_left_out(self) -> list[LeftOut]:
        """Return the steps that were left out since the last call."""
        found, self._left_out = self._left_out, []
        return found

    def outcome(self, step_key: str) -> Outcome | None:
        """Return what became of a step, None where it has not ended."""
        return self._outcomes.get(step_key) or self._earlier.outcomes.get(step_key)

    def record(self, step_key: str, outcome: Outcome) -> None:
        """Record what became of a step.

        Args:
            step_key: The step.
            outcome: What became of it.
        """
        ended = [(step_key, outcome)]
        while ended:
            key, result = ended.pop()
            self._running.discard(key)
            self._outcomes[key] = result
            templates = self._mapped.pop(key, None)
            if templates is not None:
                ended += self._expand(key, templates, result)
            template = self._copy_of.get(key)
            if template is not None:
                self._copies_left[template] -= 1
                if self._copies_left[template] == 0:
                    ended.append((template, self._together(template)))
            for dependent in self._downstream.pop(key, ()):
                self._waiting[dependent] -= 1
                if self._waiting[dependent] == 0:
                    ended += self._settle(dependent)

    def _add(self, step: planning.Step) -> list[tuple[str, Outcome]]:
        self._steps[step.key] = step
        open_keys = [
            key for key in step.upstream_keys if key not in self._outcomes and self._is_coming(key)
        ]
        self._waiting[step.key] = len(open_keys)
        for key in open_keys:
            self._downstream.setdefault(key, []).append(step.key)
        return [] if open_keys else self._settle(step.key)

    def _is_coming(self, key: str) -> bool:
        return key in self._planned or key in self._copy_of

    def _settle(self, key: str) -> list[tuple[str, Outcome]]:
        """Make a step ready whose upstream has ended, or leave it out."""
        step = self._steps[key]
        missing: set[str] = {
            upstream for upstream, output in step.after if not self._gave(upstream, output, None)
        }
        inputs: list[planning.StepInput] = []
        for one in step.inputs:
            source = self._resolved(one.source)
            taken, lacking = self._available(source)
            missing |= lacking
            if taken is not None:
                inputs.append(dataclasses.replace(one, source=taken))
        if missing:
            del self._steps[key]
            self._left_out.append(LeftOut(step, tuple(sorted(missing))))
            return [(key, self._left_out_after(missing))]
        self._steps[key] = dataclasses.replace(step, inputs=tuple(inputs))
        heapq.heappush(self._ready, (-step.priority, next(self._positions), key))
        return []

    def _gave(self, step_key: str, output_name: str | None, mapping_key: str | None) -> bool:
        known = self.outcome(step_key)
        if known is not None:
            return known.gave(output_name, mapping_key)
        # What is not part of this run was there before it.
        return not self._is_coming(step_key)

    def _resolved(self, source: step_sources.Source) -> step_sources.Source:
        """Replace what was collected by its members, now that they are known."""
        if not isinstance(source, step_sources.FromCollected):
            return source
        copies = self._copies.get(source.step_key)
        if copies is None:
            copies = self._earlier_copies(source.step_key)
        if copies is not None:
            return step_sources.FromSeveral(
                tuple(step_sources.FromStep(copy, source.output_name) for copy in copies)
            )
        known = self.outcome(source.step_key)
        if known is not None and not known.succeeded:
            # There is nothing to collect, which is not the same as an empty list.
            return source
        given = () if known is None else known.outputs.get(source.output_name, ())
        return step_sources.FromSeveral(
            tuple(
                step_sources.FromStep(source.step_key, source.output_name, mapping_key)
                for mapping_key in given
            )
        )

    def _earlier_copies(self, step_key: str) -> list[str] | None:
        """Return the copies of a mapped step that only an earlier run executed."""
        template = self._plan.others_by_key.get(step_key)
        root = template.mapped_over if template is not None else None
        if root is None:
            return None
        outcome = self.outcome(root.step_key)
        given = () if outcome is None else outcome.outputs.get(root.output_name, ())
        return [copy_key(step_key, one) for one in given if one is not None]

    def _placed(self, source: step_sources.Source) -> step_sources.Source:
        """Tell of what an earlier run gave, in which run that was."""
        if not isinstance(source, (step_sources.FromStep, step_sources.FromEarlierRun)):
            return source
        key = source.step_key
        if isinstance(source, step_sources.FromStep):
            if self._is_coming(key) and key not in self._reused:
                return source
        elif key not in self._earlier.run_ids:
            return source
        return step_sources.FromEarlierRun(
            self._earlier.run_ids.get(key, ""), key, source.output_name, source.mapping_key
        )

    def _available(
        self, source: step_sources.Source
    ) -> tuple[step_sources.Source | None, set[str]]:
        """Return what of a source was given, and the steps that did not give the rest."""
        if isinstance(source, step_sources.FromSeveral):
            return self._available_of_several(source)
        if isinstance(source, step_sources.FromCollected):
            return None, {source.step_key}
        if isinstance(source, step_sources.FromEarlierRun):
            if not self._gave(source.step_key, source.output_name, source.mapping_key):
                return None, {source.step_key}
            return self._placed(source), set()
        for needed in step_sources.steps_of(source):
            mapping_key = getattr(needed, "mapping_key", None)
            if not self._gave(needed.step_key, needed.output_name, mapping_key):
                return None, {needed.step_key}
        return self._placed(source), set()

    def _available_of_several(
        self, source: step_sources.FromSeveral
    ) -> tuple[step_sources.Source | None, set[str]]:
        kept: list[step_sources.Source] = []
        lacking: set[str] = set()
        failed: set[str] = set()
        for member in source.members:
            taken, missing = self._available(self._resolved(member))
            if taken is not None:
                kept.append(taken)
            lacking |= missing
            failed |= {key for key in missing if self._failed(key)}
        # A member that was left out by design is missing from the list; one that failed, or the
        # lack of all of them, leaves this step out too.
        if failed or (lacking and not kept):
            return None, failed or lacking
        return step_sources.FromSeveral(tuple(kept)), set()

    def _failed(self, step_key: str) -> bool:
        known = self.outcome(step_key)
        return known is not None and _has_failed(known)

    def _left_out_after(self, missing: Iterable[str]) -> Outcome:
        failed = any(self._failed(key) for key in missing)
        return LEFT_OUT_AFTER_FAILURE if failed else LEFT_OUT

    def _expand(
        self, root: str, templates: Sequence[planning.Step], outcome: Outcome
    ) -> list[tuple[str, Outcome]]:
        """Put a copy for each value of a dynamic output in the place of the mapped steps."""
        ended: list[tuple[str, Outcome]] = []
        group = {one.key for one in templates}
        outside = frozenset(
            one.key
            for one in self._plan.others
            if one.mapped_over is not None and one.mapped_over.step_key == root
        )
        for one in templates:
            place = one.mapped_over
            output_name = place.output_name if place is not None else ""
            given = outcome.outputs.get(output_name)
            if given is None:
                self._left_out.append(LeftOut(one, (root,)))
                after = LEFT_OUT_AFTER_FAILURE if _has_failed(outcome) else LEFT_OUT
                ended.append((one.key, after))
                continue
            mapping_keys = [key for key in given if key is not None]
            names = [copy_key(one.key, key) for key in mapping_keys]
            self._copies[one.key] = names
            self._copies_left[one.key] = len(names)
            self._copy_of.update(dict.fromkeys(names, one.key))
            if not names:
                ended.append((one.key, Outcome(succeeded=True)))
        for one in templates:
            place = one.mapped_over
            if place is None or one.key not in self._copies:
                continue
            for mapping_key in [key for key in outcome.outputs[place.output_name] if key]:
                name = copy_key(one.key, mapping_key)
                if root in self._planned or self._is_asked(one.key, name):
                    ended += self._add(copy_for(one, mapping_key, group, outside))
                else:
                    self._reused.add(name)
                    ended.append((name, self._earlier.outcomes.get(name, LEFT_OUT)))
        return ended

    def _is_asked(self, step_key: str, copy: str) -> bool:
        asked = self._earlier.asked
        return asked is None or step_key in asked or copy in asked

    def _together(self, template: str) -> Outcome:
        outcomes = [self._outcomes[key] for key in self._copies[template]]
        if all(one.succeeded for one in outcomes):
            names: Iterable[str] = {name for one in outcomes for name in one.outputs}
            return Outcome(succeeded=True, outputs=dict.fromkeys(names, (None,)))
        if any(_has_failed(one) for one in outcomes):
            return FAILED
        return LEFT_OUT


def _has_failed(outcome: Outcome) -> bool:
    return outcome.after_failure or not (outcome.succeeded or outcome.left_out)


def copy_key(step_key: str, mapping_key: str) -> str:
    """Return the key of the copy of a mapped step for one value of the dynamic output.

    Args:
        step_key: The step.
        mapping_key: Which value.
    """
    return f"{step_key}[{mapping_key}]"


def copy_for(
    step: planning.Step,
    mapping_key: str,
    group: set[str],
    outside: frozenset[str] = frozenset(),
) -> planning.Step:
    """Return the copy of a mapped step for one value of the dynamic output.

    Args:
        step: The step.
        mapping_key: Which value.
        group: The steps that are mapped over the same output.
        outside: Steps that are so too, and that an earlier run executed.
    """
    root = step.mapped_over
    root_key = root.step_key if root is not None else ""

    def placed(step_key: str, output_name: str) -> tuple[str, str, str | None]:
        if step_key == root_key:
            return root_key, output_name, mapping_key
        return copy_key(step_key, mapping_key), output_name, None

    def copied(source: step_sources.Source) -> step_sources.Source:
        if isinstance(source, step_sources.FromSeveral):
            return step_sources.FromSeveral(tuple(copied(one) for one in source.members))
        if isinstance(source, step_sources.FromEarlierRun):
            if source.step_key in {root_key, *outside}:
                return step_sources.FromEarlierRun(
                    source.run_id, *placed(source.step_key, source.output_name)
                )
        elif isinstance(source, step_sources.FromStep) and source.step_key in {root_key, *group}:
            return step_sources.FromStep(*placed(source.step_key, source.output_name))
        return source

    return dataclasses.replace(
        step,
        key=copy_key(step.key, mapping_key),
        inputs=tuple(dataclasses.replace(one, source=copied(one.source)) for one in step.inputs),
        after=frozenset(
            (copy_key(key, mapping_key) if key in group else key, output)
            for key, output in step.after
        ),
        mapping_key=mapping_key,
    )
