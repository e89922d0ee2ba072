# What type checkers see as `atoll.definitions`; there is no such module when code runs.
#
# The name belongs to two things: a decorator, and the package of the generated code. A class can be
# both to a type checker: it takes a function, and holds modules. It stands apart from `atoll`,
# since mypy takes two things of one full name for one.

from collections.abc import Callable

from atoll._definitions.definitions import Definitions
from atoll._definitions.loading.lazy import LazyDefinitions

class definitions(LazyDefinitions):  # noqa: N801 - used as a decorator
    def __init__(self, fn: Callable[..., Definitions]) -> None: ...

    class v1:  # noqa: N801 - a package
        from atoll.definitions.v1 import conditions_pb2 as conditions_pb2  # noqa: PLC0415
        from atoll.definitions.v1 import nodes_pb2 as nodes_pb2  # noqa: PLC0415
        from atoll.definitions.v1 import partitions_pb2 as partitions_pb2  # noqa: PLC0415
        from atoll.definitions.v1 import policies_pb2 as policies_pb2  # noqa: PLC0415
        from atoll.definitions.v1 import snapshot_pb2 as snapshot_pb2  # noqa: PLC0415
        from atoll.definitions.v1 import values_pb2 as values_pb2  # noqa: PLC0415
