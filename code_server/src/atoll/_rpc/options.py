"""The options that every gRPC server and channel of Atoll is made with, and the deadlines of calls.

The defaults of gRPC bite: two servers share a port silently, messages end at 4 MiB, a dead peer is
noticed after hours, and a client that pings more often than its server allows is cut off with
`too_many_pings`. The figures below belong together: a client never pings more often than
`_PINGS_ALLOWED_EVERY_MS` of the server.
"""

from collections.abc import Mapping

MESSAGE_BYTES_MAX = 16 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
"""The size of the pieces that anything which can grow is streamed in."""

CLIENT_PING_EVERY_MS = 10_000
SERVER_PING_EVERY_MS = 10_000
PING_TIMEOUT_MS = 5_000
_PINGS_ALLOWED_EVERY_MS = 5_000
_RECONNECT_BACKOFF_MIN_MS = 100
_RECONNECT_BACKOFF_MAX_MS = 2_000
_SECURED_CONNECT_TIMEOUT_MS = 10_000
_METADATA_BYTES_MAX = 32 * 1024

DEFAULT_DEADLINE_S = 10.0
"""What a client gives a call that has no reason for another bound."""

SERVER_DEADLINE_S = 30.0
"""What a server gives a unary call that came without a deadline."""

STREAM_DEADLINE_S = 600.0
"""What a server gives a streaming call that came without a deadline."""

DEADLINES_S: Mapping[str, float | None] = {
    # These live as long as the connection: keepalive and the lease bound them.
    "/atoll.mesh.v1.MeshService/Session": None,
    "/atoll.mesh.v1.MeshService/AppendEvents": None,
    "/atoll.api.v1.EventsService/WatchEvents": None,
    "/atoll.api.v1.RunsService/WatchRun": None,
    "/atoll.api.v1.RunsService/WatchRunOutput": None,
    "/grpc.health.v1.Health/Watch": None,
    # These wait for user code, which has its own bounds.
    "/atoll.location.v1.CodeLocationService/Reload": 300.0,
    "/atoll.location.v1.CodeLocationService/EvaluateSensor": 600.0,
    "/atoll.location.v1.CodeLocationService/EvaluateConditions": 600.0,
    "/atoll.location.v1.CodeLocationService/EvaluateSchedule": 600.0,
    "/atoll.api.v1.LocationsService/ReloadLocation": 300.0,
    "/atoll.api.v1.SensorsService/DryRunSensor": 660.0,
    "/atoll.api.v1.SchedulesService/DryRunSchedule": 660.0,
}
"""Bounds of calls without a deadline, where they differ from the defaults. None means no bound."""

Options = tuple[tuple[str, str | int], ...]

_SHARED: Options = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

SERVER: Options = (
    *_SHARED,
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", SERVER_PING_EVERY_MS),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", _PINGS_ALLOWED_EVERY_MS),
    ("grpc.http2.min_ping_interval_without_data_ms", _PINGS_ALLOWED_EVERY_MS),
)

CHANNEL: Options = (
    *_SHARED,
    ("grpc.keepalive_time_ms", CLIENT_PING_EVERY_MS),
    ("grpc.initial_reconnect_backoff_ms", _RECONNECT_BACKOFF_MIN_MS),
    ("grpc.min_reconnect_backoff_ms", _RECONNECT_BACKOFF_MIN_MS),
    ("grpc.max_reconnect_backoff_ms", _RECONNECT_BACKOFF_MAX_MS),
    # A proxy of the environment never stands between two parts of Atoll.
    ("grpc.enable_http_proxy", 0),
)


SECURED_CHANNEL: Options = (
    *(option for option in CHANNEL if option[0] != "grpc.min_reconnect_backoff_ms"),
    # How long one attempt may take, although its name speaks of pauses: three round trips and a
    # handshake need more than on loopback. What is refused at once is tried again as soon.
    ("grpc.min_reconnect_backoff_ms", _SECURED_CONNECT_TIMEOUT_MS),
)


def deadline_s(method: str, *, streams_response: bool) -> float | None:
    """Return the bound of a call that came without a deadline.

    Args:
        method: The full name of the method, such as "/atoll.api.v1.RunsService/GetRun".
        streams_response: Whether the method answers with a stream.
    """
    default = STREAM_DEADLINE_S if streams_response else SERVER_DEADLINE_S
    return DEADLINES_S.get(method, default)
