"""The exceptions of the client: those of the wire, by name, and what tells them apart.

Re-exported here so that whoever uses the client needs nothing of gRPC.
"""

from atoll._rpc import reasons as reasons
from atoll._rpc.errors import CanceledError as CanceledError
from atoll._rpc.errors import DeadlineExceededError as DeadlineExceededError
from atoll._rpc.errors import FailedPreconditionError as FailedPreconditionError
from atoll._rpc.errors import InvalidArgumentError as InvalidArgumentError
from atoll._rpc.errors import NotFoundError as NotFoundError
from atoll._rpc.errors import PermissionDeniedError as PermissionDeniedError
from atoll._rpc.errors import RpcError as RpcError
from atoll._rpc.errors import UnauthenticatedError as UnauthenticatedError
from atoll._rpc.errors import UnavailableError as UnavailableError


class ConnectError(Exception):
    """There is no host to talk to at an address.

    Attributes:
        address: Where it was looked for.
        reason: Why, one of `reasons`.
    """

    def __init__(self, message: str, *, address: str, reason: str) -> None:
        super().__init__(message)
        self.address = address
        self.reason = reason


class MaterializationTimeoutError(Exception):
    """An asset was not materialized in the time that was given for it.

    Attributes:
        asset_key: The asset, as people write it.
        partition_key: The partition; empty where any counts.
        timeout_s: The time.
    """

    def __init__(self, asset_key: str, partition_key: str, timeout_s: float) -> None:
        of_partition = f" for partition {partition_key!r}" if partition_key else ""
        super().__init__(
            f"Asset {asset_key!r} was not materialized{of_partition} within {timeout_s:g} s. Look "
            f"at what would do that with 'atoll runs list --asset {asset_key}'."
        )
        self.asset_key = asset_key
        self.partition_key = partition_key
        self.timeout_s = timeout_s


class RunFailedError(Exception):
    """A run that was waited for ended otherwise than well.

    Attributes:
        run_id: The run.
        status: How it ended, such as ``FAILURE``.
        failure: Why, in one line; empty where nothing is known.
    """

    def __init__(self, run_id: str, status: str, failure: str) -> None:
        why = f": {failure}" if failure else ""
        super().__init__(
            f"Run {run_id} ended with {status}{why}. See what it logged with "
            f"'atoll runs logs {run_id}'."
        )
        self.run_id = run_id
        self.status = status
        self.failure = failure


class WaitTimeoutError(Exception):
    """A run did not end in the time that was given for it.

    Attributes:
        run_id: The run.
        timeout_s: The time.
    """

    def __init__(self, run_id: str, timeout_s: float) -> None:
        super().__init__(
            f"Run {run_id} did not end within {timeout_s:g} s. It goes on; look at it with "
            f"'atoll runs show {run_id}'."
        )
        self.run_id = run_id
        self.timeout_s = timeout_s
