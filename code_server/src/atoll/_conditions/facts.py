"""Sets of partitions during one evaluation: all that there are, and those that belong to others.

Called by evaluations only. Keeps what it worked out, as ten thousand assets may share one
definition of partitions.
"""

from __future__ import annotations

import datetime as dt

from atoll._conditions import entities, entity_subsets, graph, views
from atoll._partitions import (
    definitions,
    inference,
    key_mappings,
    mappings,
    multi_partitions,
    subsets,
    time_window_mappings,
    time_window_partitions,
    window_sequences,
)

_Definition = definitions.PartitionsDefinition
_TimeWindow = time_window_partitions.TimeWindowPartitionsDefinition
_SAME_PARTITIONS = (
    key_mappings.IdentityPartitionMapping,
    time_window_mappings.TimeWindowPartitionMapping,
)


class Facts:
    """What an evaluation can ask about partitions.

    Args:
        known: The graph.
        view: What is known.
    """

    def __init__(self, known: graph.Graph, view: views.View) -> None:
        self.graph = known
        self.view = view
        self._context = view.partitions
        # By identity: definitions are compared by everything that they hold, which takes time.
        self._existing: dict[int, subsets.PartitionsSubset] = {}
        self._everything: dict[entities.Entity, entity_subsets.EntitySubset] = {}
        self._nothing: dict[entities.Entity, entity_subsets.EntitySubset] = {}
        self._windows: dict[tuple[int, float | None], subsets.PartitionsSubset] = {}
        self._inferred: dict[tuple[int, int], mappings.PartitionMapping] = {}

    def existing(self, entity: entities.Entity) -> entity_subsets.EntitySubset:
        """Return all partitions that there are.

        Args:
            entity: Whose.
        """
        found = self._everything.get(entity)
        if found is None:
            partitions_def = self.graph.node(entity).partitions_def
            value = True if partitions_def is None else self._all(partitions_def)
            found = self._everything[entity] = entity_subsets.EntitySubset(entity, value)
        return found

    def empty(self, entity: entities.Entity) -> entity_subsets.EntitySubset:
        """Return no partition.

        Args:
            entity: Whose.
        """
        found = self._nothing.get(entity)
        if found is None:
            partitions_def = self.graph.node(entity).partitions_def
            value = False if partitions_def is None else partitions_def.empty_subset()
            found = self._nothing[entity] = entity_subsets.EntitySubset(entity, value)
        return found

    def current(
        self, entity: entities.Entity, value: entity_subsets.Value
    ) -> entity_subsets.EntitySubset:
        """Return a set that may have been made for an earlier definition as one of the present one.

        Args:
            entity: Whose partitions they are.
            value: The set.
        """
        partitions_def = self.graph.node(entity).partitions_def
        if partitions_def is None:
            meant = isinstance(value, bool) and value
            return self.existing(entity) if meant else self.empty(entity)
        if isinstance(value, bool):
            # A truth value says nothing about which partitions.
            return self.empty(entity)
        theirs = value.partitions_def
        if theirs is partitions_def or theirs == partitions_def:
            return entity_subsets.EntitySubset(entity, value)
        keys = partitions_def.filter_valid_partition_keys(
            value.get_partition_keys(),
            self._context.effective_dt,
            self._context.dynamic_partitions_store,
        )
        return entity_subsets.EntitySubset(entity, partitions_def.subset_with_partition_keys(keys))

    def mapped(
        self, subset: entity_subsets.EntitySubset, to: entities.Entity
    ) -> entity_subsets.EntitySubset:
        """Return the partitions of another that belong to some.

        Downstream where the other has this one upstream, upstream otherwise.

        Args:
            subset: The partitions.
            to: The other. Partitions of the same entity are those that depend on each other, for
                one that depends on itself.
        """
        entity = subset.entity
        if to != entity and self.graph.depends_on(to, entity):
            return self.downstream(subset, to)
        return self.upstream(subset, to)

    def mapped_back(
        self, subset: entity_subsets.EntitySubset, to: entities.Entity
    ) -> entity_subsets.EntitySubset:
        """Return the partitions that `mapped` would take to some: the other way round.

        Args:
            subset: What it was taken to.
            to: Where it came from.
        """
        entity = subset.entity
        if to != entity and self.graph.depends_on(entity, to):
            return self.upstream(subset, to)
        return self.downstream(subset, to)

    def downstream(
        self, subset: entity_subsets.EntitySubset, to: entities.Entity
    ) -> entity_subsets.EntitySubset:
        """Return the partitions downstream that need any of some.

        Args:
            subset: The partitions upstream.
            to: Whose are wanted.
        """
        mine = self.graph.node(subset.entity).partitions_def
        theirs = self.graph.node(to).partitions_def
        value = subset.value
        if mine is None or theirs is None or isinstance(value, bool) or not value:
            return self.existing(to) if value else self.empty(to)
        found = self._mapping(to, subset.entity, theirs, mine)
        return entity_subsets.EntitySubset(
            to,
            found.get_downstream_partitions_for_partitions(
                value,
                mine,
                theirs,
                self._context.effective_dt,
                self._context.dynamic_partitions_store,
            ),
        )

    def upstream(
        self, subset: entity_subsets.EntitySubset, to: entities.Entity
    ) -> entity_subsets.EntitySubset:
        """Return the partitions upstream that some need, of those that there are.

        Args:
            subset: The partitions downstream.
            to: Whose are wanted.
        """
        mine = self.graph.node(subset.entity).partitions_def
        theirs = self.graph.node(to).partitions_def
        value = subset.value
        if theirs is None or not value:
            return self.existing(to) if value else self.empty(to)
        found = self._mapping(subset.entity, to, mine, theirs)
        result = found.get_upstream_mapped_partitions_result_for_partitions(
            None if isinstance(value, bool) else value,
            mine,
            theirs,
            self._context.effective_dt,
            self._context.dynamic_partitions_store,
        )
        return entity_subsets.EntitySubset(to, result.partitions_subset)

    def same(
        self, subset: entity_subsets.EntitySubset, to: entities.Entity
    ) -> entity_subsets.EntitySubset:
        """Return the same partitions of something that is executed together with it.

        Args:
            subset: The partitions.
            to: Whose are wanted.
        """
        value = subset.value
        theirs = self.graph.node(to).partitions_def
        if theirs is None or isinstance(value, bool):
            return self.existing(to) if value else self.empty(to)
        return self.current(to, value)

    def in_latest_time_window(
        self, entity: entities.Entity, lookback_s: float | None
    ) -> entity_subsets.EntitySubset:
        """Return the latest partitions in time; of something without time, all.

        Args:
            entity: Whose.
            lookback_s: How far before the end of the latest window others may start, in seconds.
        """
        partitions_def = self.graph.node(entity).partitions_def
        if isinstance(partitions_def, _TimeWindow):
            return entity_subsets.EntitySubset(entity, self._latest(partitions_def, lookback_s))
        if (
            isinstance(partitions_def, multi_partitions.MultiPartitionsDefinition)
            and partitions_def.has_time_window_dimension
        ):
            time_name = partitions_def.time_window_dimension.name
            by_dimension = {
                each.name: self._latest(partitions_def.time_window_partitions_def, lookback_s)
                if each.name == time_name
                else self._all(each.partitions_def)
                for each in partitions_def.partitions_defs
            }
            found = partitions_def.subset_of_dimensions(by_dimension)
            return entity_subsets.EntitySubset(entity, found)
        return self.existing(entity)

    def _latest(
        self, partitions_def: _TimeWindow, lookback_s: float | None
    ) -> subsets.PartitionsSubset:
        key = (id(partitions_def), lookback_s)
        found = self._windows.get(key)
        if found is None:
            window = partitions_def.get_last_partition_window(self._context.effective_dt)
            if window is None:
                found = partitions_def.empty_subset()
            else:
                if lookback_s is not None:
                    start = window.end - dt.timedelta(seconds=lookback_s)
                    window = window_sequences.TimeWindow(start, window.end)
                found = partitions_def.get_partition_subset_in_time_window(window)
            self._windows[key] = found
        return found

    def executable_together(self, downstream: entities.Entity, upstream: entities.Entity) -> bool:
        """Tell whether one run can hold both, for the same partitions.

        Args:
            downstream: The one that depends.
            upstream: The one it depends on.
        """
        down, up = self.graph.node(downstream), self.graph.node(upstream)
        if down.location != up.location:
            return False
        mine, theirs = down.partitions_def, up.partitions_def
        if mine is None or theirs is None:
            return mine is theirs
        if mine is not theirs and mine != theirs:
            return False
        found = self._mapping(downstream, upstream, mine, theirs)
        return isinstance(found, _SAME_PARTITIONS)

    def _all(self, partitions_def: _Definition) -> subsets.PartitionsSubset:
        found = self._existing.get(id(partitions_def))
        if found is None:
            found = self._existing[id(partitions_def)] = mappings.everything(
                partitions_def, self._context
            )
        return found

    def _mapping(
        self,
        downstream: entities.Entity,
        upstream: entities.Entity,
        mine: _Definition | None,
        theirs: _Definition | None,
    ) -> mappings.PartitionMapping:
        written = self.graph.node(downstream).upstream.get(upstream)
        if written is not None:
            return written
        pair = (id(mine), id(theirs))
        found = self._inferred.get(pair)
        if found is None:
            found = inference.infer_partition_mapping(None, mine, theirs)
            self._inferred[pair] = found
        return found
