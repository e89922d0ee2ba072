"""A snapshot of a location with the indexes that the host asks it by.

Made by `snapshots` once for each build, off the event loop because a large snapshot takes a while
to go through; read by everyone who resolves names. Nothing here does I/O.
"""

import dataclasses
from collections.abc import Mapping

from atoll.definitions.v1 import snapshot_pb2


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
        sensors: The sensors by name.
        implicit_job: The job that materializes any selection of assets; None where there is none.
    """

    digest: str
    message: snapshot_pb2.LocationSnapshot
    assets: Mapping[tuple[str, ...], snapshot_pb2.AssetDefinition]
    executable: frozenset[tuple[str, ...]]
    dependencies: Mapping[tuple[str, ...], tuple[tuple[str, ...], ...]]
    jobs: Mapping[str, snapshot_pb2.JobDefinition]
    sensors: Mapping[str, snapshot_pb2.SensorDefinition]
    implicit_job: snapshot_pb2.JobDefinition | None


def decode(digest: str, encoded: bytes) -> Definitions:
    """Decode a snapshot and index it.

    Args:
        digest: The digest of `encoded`, checked before.
        encoded: An encoded `atoll.definitions.v1.LocationSnapshot`.

    Raises:
        google.protobuf.message.DecodeError: The bytes are no snapshot.
    """
    message = snapshot_pb2.LocationSnapshot.FromString(encoded)
    assets: dict[tuple[str, ...], snapshot_pb2.AssetDefinition] = {}
    executable: set[tuple[str, ...]] = set()
    dependencies: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {}
    for asset in message.assets:
        path = tuple(asset.key.path)
        assets[path] = asset
        if asset.executable:
            executable.add(path)
        dependencies[path] = tuple(tuple(edge.asset_key.path) for edge in asset.dependencies)
    return Definitions(
        digest=digest,
        message=message,
        assets=assets,
        executable=frozenset(executable),
        dependencies=dependencies,
        jobs={job.name: job for job in message.jobs},
        sensors={sensor.name: sensor for sensor in message.sensors},
        implicit_job=next((job for job in message.jobs if job.implicit), None),
    )
