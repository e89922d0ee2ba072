"""Atoll: orchestrates data work across teams that do not share an environment.

Everything public is here; modules with a leading underscore are not. Names that need pydantic, and
names that run things rather than define them, are loaded when they are first asked for: `import
atoll` stays light, and loads neither pydantic nor gRPC nor protobuf.
"""

import importlib
from typing import TYPE_CHECKING, Any

from atoll._definitions.asset_decorator import asset as asset
from atoll._definitions.asset_events import AssetMaterialization as AssetMaterialization
from atoll._definitions.asset_events import AssetObservation as AssetObservation
from atoll._definitions.asset_events import MaterializeResult as MaterializeResult
from atoll._definitions.asset_events import Output as Output
from atoll._definitions.asset_selection import AssetSelection as AssetSelection
from atoll._definitions.assets import AssetIn as AssetIn
from atoll._definitions.assets import AssetsDefinition as AssetsDefinition
from atoll._definitions.definitions import Definitions as Definitions
from atoll._definitions.errors import Error as Error
from atoll._definitions.errors import ExecutionStepExecutionError as ExecutionStepExecutionError
from atoll._definitions.errors import ForeignValueError as ForeignValueError
from atoll._definitions.errors import InstanceUnavailableError as InstanceUnavailableError
from atoll._definitions.errors import InvalidConfigError as InvalidConfigError
from atoll._definitions.errors import InvalidDefinitionError as InvalidDefinitionError
from atoll._definitions.errors import InvalidInvocationError as InvalidInvocationError
from atoll._definitions.errors import InvalidSubsetError as InvalidSubsetError
from atoll._definitions.errors import InvariantViolationError as InvariantViolationError
from atoll._definitions.errors import RunNotFoundError as RunNotFoundError
from atoll._definitions.errors import StepOutputNotFoundError as StepOutputNotFoundError
from atoll._definitions.errors import StoredValueError as StoredValueError
from atoll._definitions.errors import UnknownResourceError as UnknownResourceError
from atoll._definitions.errors import UnsupportedParameterError as UnsupportedParameterError
from atoll._definitions.errors import UserCodeExecutionError as UserCodeExecutionError
from atoll._definitions.errors import ValueNotFoundError as ValueNotFoundError
from atoll._definitions.events import AssetRecordsFilter as AssetRecordsFilter
from atoll._definitions.events import Event as Event
from atoll._definitions.events import EventLogEntry as EventLogEntry
from atoll._definitions.events import EventLogRecord as EventLogRecord
from atoll._definitions.events import EventRecordsResult as EventRecordsResult
from atoll._definitions.events import EventType as EventType
from atoll._definitions.failures import Failure as Failure
from atoll._definitions.in_process import ExecuteInProcessResult as ExecuteInProcessResult
from atoll._definitions.jobs import JobDefinition as JobDefinition
from atoll._definitions.jobs import define_asset_job as define_asset_job
from atoll._definitions.keys import AssetKey as AssetKey
from atoll._definitions.metadata import AssetMetadataValue as AssetMetadataValue
from atoll._definitions.metadata import BoolMetadataValue as BoolMetadataValue
from atoll._definitions.metadata import FloatMetadataValue as FloatMetadataValue
from atoll._definitions.metadata import IntMetadataValue as IntMetadataValue
from atoll._definitions.metadata import JobMetadataValue as JobMetadataValue
from atoll._definitions.metadata import JsonMetadataValue as JsonMetadataValue
from atoll._definitions.metadata import MarkdownMetadataValue as MarkdownMetadataValue
from atoll._definitions.metadata import MetadataValue as MetadataValue
from atoll._definitions.metadata import NotebookMetadataValue as NotebookMetadataValue
from atoll._definitions.metadata import NullMetadataValue as NullMetadataValue
from atoll._definitions.metadata import PathMetadataValue as PathMetadataValue
from atoll._definitions.metadata import PythonArtifactMetadataValue as PythonArtifactMetadataValue
from atoll._definitions.metadata import RunMetadataValue as RunMetadataValue
from atoll._definitions.metadata import TableMetadataValue as TableMetadataValue
from atoll._definitions.metadata import TableSchemaMetadataValue as TableSchemaMetadataValue
from atoll._definitions.metadata import TextMetadataValue as TextMetadataValue
from atoll._definitions.metadata import TimestampMetadataValue as TimestampMetadataValue
from atoll._definitions.metadata import UrlMetadataValue as UrlMetadataValue
from atoll._definitions.run_config import RunConfig as RunConfig
from atoll._definitions.run_requests import RunRequest as RunRequest
from atoll._definitions.run_requests import SensorResult as SensorResult
from atoll._definitions.run_requests import SkipReason as SkipReason
from atoll._definitions.runs import Run as Run
from atoll._definitions.runs import RunStatus as RunStatus
from atoll._definitions.sensor_decorators import asset_sensor as asset_sensor
from atoll._definitions.sensor_decorators import multi_asset_sensor as multi_asset_sensor
from atoll._definitions.sensor_decorators import sensor as sensor
from atoll._definitions.sensors import AssetSensorDefinition as AssetSensorDefinition
from atoll._definitions.sensors import DefaultSensorStatus as DefaultSensorStatus
from atoll._definitions.sensors import MultiAssetSensorDefinition as MultiAssetSensorDefinition
from atoll._definitions.sensors import SensorDefinition as SensorDefinition
from atoll._definitions.sensors import SensorType as SensorType
from atoll._definitions.specs import AssetDep as AssetDep
from atoll._definitions.specs import AssetSpec as AssetSpec
from atoll._definitions.specs import map_asset_specs as map_asset_specs
from atoll._definitions.tables import TableColumn as TableColumn
from atoll._definitions.tables import TableColumnConstraints as TableColumnConstraints
from atoll._definitions.tables import TableConstraints as TableConstraints
from atoll._definitions.tables import TableRecord as TableRecord
from atoll._definitions.tables import TableSchema as TableSchema
from atoll._definitions.ticks import TickResult as TickResult

if TYPE_CHECKING:
    # Type checkers have to see what __getattr__ resolves.
    from atoll._definitions.config import Config as Config
    from atoll._definitions.config import PermissiveConfig as PermissiveConfig
    from atoll._execution.asset_context import AssetExecutionContext as AssetExecutionContext
    from atoll._execution.asset_context import build_asset_context as build_asset_context
    from atoll._execution.io_managers import InMemoryIOManager as InMemoryIOManager
    from atoll._execution.io_managers import InputContext as InputContext
    from atoll._execution.io_managers import IOManager as IOManager
    from atoll._execution.io_managers import IOManagerDefinition as IOManagerDefinition
    from atoll._execution.io_managers import OutputContext as OutputContext
    from atoll._execution.io_managers import build_input_context as build_input_context
    from atoll._execution.io_managers import build_output_context as build_output_context
    from atoll._execution.io_managers import mem_io_manager as mem_io_manager
    from atoll._execution.logs import LogManager as LogManager
    from atoll._execution.materialization import materialize as materialize
    from atoll._execution.materialization import materialize_to_memory as materialize_to_memory
    from atoll._execution.multi_asset_context import (
        MultiAssetSensorEvaluationContext as MultiAssetSensorEvaluationContext,
    )
    from atoll._execution.multi_asset_context import (
        build_multi_asset_sensor_context as build_multi_asset_sensor_context,
    )
    from atoll._execution.sensor_contexts import SensorEvaluationContext as SensorEvaluationContext
    from atoll._execution.sensor_contexts import build_sensor_context as build_sensor_context
    from atoll._execution.storing import FilesystemIOManager as FilesystemIOManager
    from atoll._instance.instance import Instance as Instance

# Where the names are that load only when asked for: pydantic, and all that runs rather than
# defines.
_LAZY = {
    "AssetExecutionContext": "atoll._execution.asset_context",
    "Config": "atoll._definitions.config",
    "FilesystemIOManager": "atoll._execution.storing",
    "IOManager": "atoll._execution.io_managers",
    "IOManagerDefinition": "atoll._execution.io_managers",
    "InMemoryIOManager": "atoll._execution.io_managers",
    "InputContext": "atoll._execution.io_managers",
    "Instance": "atoll._instance.instance",
    "LogManager": "atoll._execution.logs",
    "MultiAssetSensorEvaluationContext": "atoll._execution.multi_asset_context",
    "OutputContext": "atoll._execution.io_managers",
    "PermissiveConfig": "atoll._definitions.config",
    "SensorEvaluationContext": "atoll._execution.sensor_contexts",
    "build_asset_context": "atoll._execution.asset_context",
    "build_input_context": "atoll._execution.io_managers",
    "build_multi_asset_sensor_context": "atoll._execution.multi_asset_context",
    "build_output_context": "atoll._execution.io_managers",
    "build_sensor_context": "atoll._execution.sensor_contexts",
    "materialize": "atoll._execution.materialization",
    "materialize_to_memory": "atoll._execution.materialization",
    "mem_io_manager": "atoll._execution.io_managers",
}


if not TYPE_CHECKING:
    # A type checker that saw it would take every misspelt name for one of ours.

    def __getattr__(name: str) -> Any:
        """Load what is loaded only when asked for."""
        module = _LAZY.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module), name)
        # Kept, so that the next access does not come here.
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    """List the lazy names as well."""
    return sorted({*globals(), *_LAZY})
