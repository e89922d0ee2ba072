"""The instance's backend in the processes of a location: every question goes to the host.

Called through `Instance` by user code in runs and ticks. Makes messages of questions and data of
answers; how they travel stands in `relay`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from atoll._definitions import (
    asset_records,
    backfills,
    events,
    freshness_states,
    keys,
    runs,
    specs,
)
from atoll._instance import backend
from atoll._location import relay
from atoll._wire import backfills as backfill_messages
from atoll._wire import events as event_messages
from atoll._wire import foreign_assets, freshness, texts
from atoll._wire import instance as instance_messages
from atoll._wire import keys as key_messages
from atoll._wire import runs as run_messages
from atoll.mesh.v1 import instance_pb2, mesh_pb2
from atoll.process.v1 import process_pb2


class RelayBackend:
    """Answers what user code asks of the instance, by way of the code server.

    Args:
        link: The connection.
        patience_s: For how long to ask again while the code server or the host is away.
        answer_timeout_s: How long one answer may take.
        written_seq: Returns the seq of the last event that the run has written, which answers are
            to count; None where they need not.
    """

    def __init__(
        self,
        link: relay.ServerLink,
        *,
        patience_s: float = 0.0,
        answer_timeout_s: float = relay.ANSWER_TIMEOUT_S,
        written_seq: Callable[[], int] | None = None,
    ) -> None:
        questions = relay.Questions(
            link,
            patience_s=patience_s,
            answer_timeout_s=answer_timeout_s,
            written_seq=written_seq,
        )
        self._ask = questions.ask

    def log_records(
        self, query: backend.EventsQuery
    ) -> tuple[Sequence[events.EventLogRecord], bool]:
        """Return events by position, and whether there are more in the same direction.

        Args:
            query: Which events.
        """
        request = instance_messages.events_request(query)
        answer = self._ask(process_pb2.InstanceQuery(list_events=request)).list_events
        return [event_messages.to_record(stored) for stored in answer.events], answer.has_more

    def report_asset_event(self, event: events.Event) -> int:
        """Store an event about an asset that no run made; return its position.

        Args:
            event: The event.
        """
        request = instance_pb2.ReportAssetEventRequest(
            request_id=runs.make_run_id(), event=event_messages.to_message(event)
        )
        answer = self._ask(process_pb2.InstanceQuery(report_asset_event=request))
        return answer.report_asset_event.event_id

    def latest_materializations(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, events.EventLogRecord]:
        """Return the newest materialization of each asset that has one.

        Args:
            asset_keys: The assets, of any location.
        """
        request = mesh_pb2.GetLatestMaterializationsRequest(
            asset_keys=[key_messages.to_message(key) for key in asset_keys]
        )
        records = self._latest(request)
        return {record.asset_key: record for record in records if record.asset_key is not None}

    def latest_partition_materializations(
        self, asset_key: keys.AssetKey, partitions: Sequence[str]
    ) -> Mapping[str, events.EventLogRecord]:
        """Return the newest materialization of each of the partitions that has one.

        Args:
            asset_key: The asset, of any location.
            partitions: The partitions.
        """
        if not partitions:
            return {}
        request = mesh_pb2.GetLatestMaterializationsRequest(
            asset_keys=[key_messages.to_message(asset_key)],
            partitions=map(texts.valid, partitions),
        )
        return {
            record.partition_key: record
            for record in self._latest(request)
            if record.partition_key is not None
        }

    def asset_keys(
        self, prefix: Sequence[str], after: keys.AssetKey | None, limit: int
    ) -> tuple[Sequence[keys.AssetKey], bool]:
        """Return keys of assets that the log ever spoke of, and whether there are more.

        Args:
            prefix: Only keys that begin with these parts.
            after: Only keys after this one.
            limit: How many at the most.
        """
        request = instance_pb2.ListAssetKeysRequest(
            prefix=map(texts.valid, prefix), page_size=limit
        )
        if after is not None:
            request.after_key.CopyFrom(key_messages.to_message(after))
        answer = self._ask(process_pb2.InstanceQuery(list_asset_keys=request)).list_asset_keys
        return [key_messages.from_message(key) for key in answer.asset_keys], answer.has_more

    def asset_entries(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, asset_records.AssetEntry]:
        """Return the newest events of each asset that has any.

        Args:
            asset_keys: The assets, of any location.
        """
        request = instance_pb2.GetAssetRecordsRequest(
            asset_keys=[key_messages.to_message(key) for key in asset_keys]
        )
        answer = self._ask(process_pb2.InstanceQuery(get_asset_records=request))
        found = [instance_messages.to_asset_entry(one) for one in answer.get_asset_records.records]
        return {entry.asset_key: entry for entry in found}

    def asset_partitions(
        self, query: backend.AssetPartitionsQuery
    ) -> tuple[Sequence[asset_records.AssetPartition], bool]:
        """Return partitions of one asset in the order of their texts; whether there are more.

        Args:
            query: Which partitions.
        """
        request = instance_messages.asset_partitions_request(query)
        answer = self._ask(process_pb2.InstanceQuery(list_asset_partitions=request))
        found = answer.list_asset_partitions
        return (
            [instance_messages.to_asset_partition(one) for one in found.partitions],
            found.has_more,
        )

    def freshness_states(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, freshness_states.FreshnessStateRecord]:
        """Return the freshness state of each asset for which one was decided.

        Args:
            asset_keys: The assets, of any location.
        """
        if not asset_keys:
            return {}
        request = instance_pb2.GetFreshnessStatesRequest(
            asset_keys=[key_messages.to_message(key) for key in asset_keys]
        )
        answer = self._ask(process_pb2.InstanceQuery(get_freshness_states=request))
        found = map(freshness.record_from_message, answer.get_freshness_states.states)
        return {record.entity_key: record for record in found}

    def asset_specs(
        self, asset_keys: Sequence[keys.AssetKey]
    ) -> Mapping[keys.AssetKey, specs.AssetSpec]:
        """Return what locations define of each asset that some location defines.

        Args:
            asset_keys: The assets, of any location.
        """
        request = instance_pb2.GetAssetDefinitionsRequest(
            asset_keys=[key_messages.to_message(key) for key in asset_keys]
        )
        answer = self._ask(process_pb2.InstanceQuery(get_asset_definitions=request))
        found = map(foreign_assets.spec, answer.get_asset_definitions.definitions)
        return {one.key: one for one in found}

    def latest_check_evaluations(
        self, check_keys: Sequence[keys.AssetCheckKey]
    ) -> Mapping[keys.AssetCheckKey, events.EventLogRecord]:
        """Return the newest evaluation of each check that was evaluated.

        Args:
            check_keys: The checks.
        """
        if not check_keys:
            return {}
        request = instance_pb2.GetLatestCheckEvaluationsRequest(
            check_keys=[key_messages.to_check_message(key) for key in check_keys]
        )
        answer = self._ask(process_pb2.InstanceQuery(get_latest_check_evaluations=request))
        found: dict[keys.AssetCheckKey, events.EventLogRecord] = {}
        for stored in answer.get_latest_check_evaluations.events:
            told = stored.event.asset_check_evaluation
            asset_key = key_messages.from_message(told.asset_key)
            key = keys.AssetCheckKey(asset_key, told.check_name)
            found[key] = event_messages.to_record(stored)
        return found

    def run_record(self, run_id: str) -> runs.RunRecord | None:
        """Return a run, None where there is none of that id.

        Args:
            run_id: The run.
        """
        request = mesh_pb2.GetRunRequest(run_id=run_id)
        answer = self._ask(process_pb2.InstanceQuery(get_run=request)).get_run
        return run_messages.to_run_record(answer.run) if answer.HasField("run") else None

    def run_records(self, query: backend.RunsQuery) -> tuple[Sequence[runs.RunRecord], bool]:
        """Return runs in the order asked for, and whether there are more.

        Args:
            query: Which runs.
        """
        request = instance_messages.runs_request(query)
        answer = self._ask(process_pb2.InstanceQuery(list_runs=request)).list_runs
        return [run_messages.to_run_record(run) for run in answer.runs], answer.has_more

    def runs_count(self, filters: runs.RunsFilter) -> int:
        """Return how many runs there are.

        Args:
            filters: Which runs.
        """
        request = instance_pb2.GetRunCountRequest(
            selection=instance_messages.run_selection(filters)
        )
        return self._ask(process_pb2.InstanceQuery(get_run_count=request)).get_run_count.count

    def backfills(
        self, query: backend.BackfillsQuery
    ) -> tuple[Sequence[backfills.PartitionBackfill], bool]:
        """Return backfills, newest first, and whether there are more.

        Args:
            query: Which backfills.
        """
        request = backfill_messages.to_request(query)
        answer = self._ask(process_pb2.InstanceQuery(list_backfills=request)).list_backfills
        return [backfill_messages.from_message(each) for each in answer.backfills], answer.has_more

    def dynamic_partitions(
        self, name: str, after: int, limit: int, *, descending: bool = False
    ) -> tuple[Sequence[str], int, bool]:
        """Return keys in the order of adding, the position of the last, and whether there are more.

        Args:
            name: The definition.
            after: Go on after this position; 0 begins.
            limit: How many at the most.
            descending: Newest first.
        """
        answer = self._list_partitions(
            instance_pb2.ListDynamicPartitionsRequest(
                partitions_def_name=texts.valid(name),
                after_position=after,
                page_size=limit,
                descending=descending,
            )
        )
        return list(answer.partition_keys), answer.last_position, answer.has_more

    def existing_dynamic_partitions(
        self, name: str, partition_keys: Sequence[str]
    ) -> Sequence[str]:
        """Return those of the keys that there are.

        Args:
            name: The definition.
            partition_keys: The keys.
        """
        if not partition_keys:
            return []
        answer = self._list_partitions(
            instance_pb2.ListDynamicPartitionsRequest(
                partitions_def_name=texts.valid(name),
                partition_keys=map(texts.valid, partition_keys),
            )
        )
        return list(answer.partition_keys)

    def add_dynamic_partitions(self, name: str, partition_keys: Sequence[str]) -> None:
        """Add keys; those that are there already stay where they are.

        Args:
            name: The definition.
            partition_keys: The keys.
        """
        request = instance_pb2.AddDynamicPartitionsRequest(
            request_id=runs.make_run_id(),
            partitions_def_name=texts.valid(name),
            partition_keys=map(texts.valid, partition_keys),
        )
        self._ask(process_pb2.InstanceQuery(add_dynamic_partitions=request))

    def delete_dynamic_partitions(self, name: str, partition_keys: Sequence[str]) -> None:
        """Take keys out; those that are not there are left alone.

        Args:
            name: The definition.
            partition_keys: The keys.
        """
        request = instance_pb2.DeleteDynamicPartitionsRequest(
            request_id=runs.make_run_id(),
            partitions_def_name=texts.valid(name),
            partition_keys=map(texts.valid, partition_keys),
        )
        self._ask(process_pb2.InstanceQuery(delete_dynamic_partitions=request))

    def _latest(
        self, request: mesh_pb2.GetLatestMaterializationsRequest
    ) -> list[events.EventLogRecord]:
        answer = self._ask(process_pb2.InstanceQuery(get_latest_materializations=request))
        stored = answer.get_latest_materializations.events
        return [event_messages.to_record(one) for one in stored]

    def _list_partitions(
        self, request: instance_pb2.ListDynamicPartitionsRequest
    ) -> instance_pb2.ListDynamicPartitionsResponse:
        query = process_pb2.InstanceQuery(list_dynamic_partitions=request)
        return self._ask(query).list_dynamic_partitions
