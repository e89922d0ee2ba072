"""A snapshot of a location with the indexes that the host asks it by.

Made by `snapshots` once for each build, off the event loop because a large snapshot takes a while
to go through; read by everyone who resolves names. Nothing here does I/O.
"""

import dataclasses
from collections.abc import Mapping

from atoll.definitions.v1 import nodes_pb2, snapshot_pb2
from atoll_host.locations import default_sensors, partitioned


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Definitions:
    """What one build of a location defines. Asset keys are their paths.

    Attributes:
        digest: The SHA-256 of the encoded snapshot; equal digests mean equal definitions.
        message: The snapshot itself.
        assets: All assets, executable and external.
        executable: The assets that the location can materialize.
        dependencies: The upstream assets of each asset.
        jobs: The jobs by name.
        sensors: The sensors by name, with the one that each location has for its conditions.
        schedules: The schedules by name.
        checks: The checks of assets, of this location and of others, by asset and name.
        implicit_job: The job that materializes any selection of assets; None where there is none.
        checks_of: The names of the checks of each asset.
        made_by: The assets that each op makes, by the name of the op.
        graphs: The graphs by name.
        ops: The ops of graphs by name.
        resources: The resources by key.
        pools: The pools that ops mention.
        partitions: The partitions of assets, checks and jobs, read when they are asked for.
        unwatched: The assets of other locations that its conditions must not hear of.
    """

    digest: str
    message: snapshot_pb2.LocationSnapshot
    assets: Mapping[tuple[str, ...], snapshot_pb2.AssetDefinition]
    executable: frozenset[tuple[str, ...]]
    dependencies: Mapping[tuple[str, ...], tuple[tuple[str, ...], ...]]
    jobs: Mapping[str, snapshot_pb2.JobDefinition]
    sensors: Mapping[str, snapshot_pb2.SensorDefinition]
    schedules: Mapping[str, snapshot_pb2.ScheduleDefinition]
    checks: Mapping[tuple[tuple[str, ...], str], snapshot_pb2.AssetCheckDefinition]
    implicit_job: snapshot_pb2.JobDefinition | None
    checks_of: Mapping[tuple[str, ...], tuple[str, ...]]
    made_by: Mapping[str, tuple[tuple[str, ...], ...]]
    graphs: Mapping[str, nodes_pb2.GraphDefinition]
    ops: Mapping[str, nodes_pb2.OpDefinition]
    resources: Mapping[str, nodes_pb2.ResourceDefinition]
    pools: frozenset[str]
    partitions: partitioned.Partitioned
    unwatched: frozenset[tuple[str, ...]] = frozenset()

    def made_with(self, path: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Return the assets that are always made together with one, itself included."""
        asset = self.assets.get(path)
        if asset is None or asset.can_subset or not asset.executable:
            return (path,)
        return self.made_by[asset.op_name]


def decode(digest: str, encoded: bytes) -> Definitions:
    """Decode a snapshot and index it.

    Args:
        digest: The digest of `encoded`, checked before.
        encoded: An encoded `atoll.definitions.v1.LocationSnapshot`.

    Raises:
        google.protobuf.message.DecodeError: The bytes are no snapshot.
    """
    return of_message(digest, snapshot_pb2.LocationSnapshot.FromString(encoded))


def of_message(digest: str, message: snapshot_pb2.LocationSnapshot) -> Definitions:
    """Index a snapshot.

    Args:
        digest: What tells it from others.
        message: The snapshot.
    """
    assets: dict[tuple[str, ...], snapshot_pb2.AssetDefinition] = {}
    executable: set[tuple[str, ...]] = set()
    dependencies: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
    for asset in message.assets:
        path = tuple(asset.key.path)
        assets[path] = asset
        if asset.executable:
            executable.add(path)
        dependencies[path] = tuple(tuple(edge.asset_key.path) for edge in asset.dependencies)
    checks_of: dict[tuple[str, ...], list[str]] = {}
    for check in message.checks:
        checks_of.setdefault(tuple(check.key.asset_key.path), []).append(check.key.name)
    made_by: dict[str, list[tuple[str, ...]]] = {}
    for path in executable:
        made_by.setdefault(assets[path].op_name, []).append(path)
    return Definitions(
        digest=digest,
        message=message,
        assets=assets,
        executable=frozenset(executable),
        dependencies=dependencies,
        jobs={job.name: job for job in message.jobs},
        sensors=_sensors(message),
        schedules={schedule.name: schedule for schedule in message.schedules},
        checks={
            (tuple(check.key.asset_key.path), check.key.name): check for check in message.checks
        },
        implicit_job=next((job for job in message.jobs if job.implicit), None),
        checks_of={path: tuple(names) for path, names in checks_of.items()},
        made_by={name: tuple(sorted(paths)) for name, paths in made_by.items()},
        graphs={graph.name: graph for graph in message.graphs},
        ops={op.name: op for op in message.ops},
        resources={resource.key: resource for resource in message.resources},
        pools=_pools(message),
        partitions=partitioned.Partitioned(message),
    )


def _pools(message: snapshot_pb2.LocationSnapshot) -> frozenset[str]:
    found = {op.pool for op in message.ops}
    found.update(pool for asset in message.assets for pool in asset.pools)
    found.update(pool for check in message.checks for pool in check.pools)
    return frozenset(found - {""})


def _sensors(
    message: snapshot_pb2.LocationSnapshot,
) -> dict[str, snapshot_pb2.SensorDefinition]:
    sensors = {sensor.name: sensor for sensor in message.sensors}
    default = default_sensors.default_sensor(message)
    if default is not None:
        sensors[default.name] = default
    return sensors
