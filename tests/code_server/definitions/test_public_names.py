"""The list of public names. Adding one is a decision: it is kept for good."""

import inspect
import types

import atoll

PUBLIC = {
    # assets
    "AssetDep", "AssetExecutionContext", "AssetIn", "AssetKey", "AssetMaterialization",
    "AssetObservation", "AssetSelection", "AssetSpec", "AssetsDefinition", "MaterializeResult",
    "Output", "asset", "build_asset_context", "map_asset_specs", "materialize",
    "materialize_to_memory",
    # config and jobs
    "Config", "PermissiveConfig", "RunConfig", "ExecuteInProcessResult", "JobDefinition",
    "define_asset_job", "Definitions",
    # sensors
    "AssetSensorDefinition", "DefaultSensorStatus", "MultiAssetSensorDefinition",
    "MultiAssetSensorEvaluationContext", "RunRequest", "SensorDefinition",
    "SensorEvaluationContext", "SensorResult", "SensorType", "SkipReason", "TickResult",
    "asset_sensor", "build_multi_asset_sensor_context", "build_sensor_context",
    "multi_asset_sensor", "sensor",
    # the log and runs
    "AssetRecordsFilter", "Event", "EventLogEntry", "EventLogRecord", "EventRecordsResult",
    "EventType", "Instance", "LogManager", "Run", "RunStatus",
    # IO managers
    "FilesystemIOManager", "IOManager", "IOManagerDefinition", "InMemoryIOManager",
    "InputContext", "OutputContext", "build_input_context", "build_output_context",
    "mem_io_manager",
    # metadata
    "AssetMetadataValue", "BoolMetadataValue", "FloatMetadataValue", "IntMetadataValue",
    "JobMetadataValue", "JsonMetadataValue", "MarkdownMetadataValue", "MetadataValue",
    "NotebookMetadataValue", "NullMetadataValue", "PathMetadataValue",
    "PythonArtifactMetadataValue", "RunMetadataValue", "TableMetadataValue",
    "TableSchemaMetadataValue", "TextMetadataValue", "TimestampMetadataValue",
    "UrlMetadataValue", "TableColumn", "TableColumnConstraints", "TableConstraints",
    "TableRecord", "TableSchema",
    # errors
    "Error", "ExecutionStepExecutionError", "Failure", "ForeignValueError",
    "InstanceUnavailableError", "InvalidConfigError", "InvalidDefinitionError",
    "InvalidInvocationError", "InvalidSubsetError", "InvariantViolationError",
    "RunNotFoundError", "StepOutputNotFoundError", "StoredValueError", "UnknownResourceError",
    "UnsupportedParameterError", "UserCodeExecutionError", "ValueNotFoundError",
}  # fmt: skip
NOT_OURS = {"Any", "TYPE_CHECKING"}


def _shown_names():
    return {
        name
        for name in dir(atoll)
        if not name.startswith("_")
        and name not in NOT_OURS
        and not isinstance(getattr(atoll, name), types.ModuleType)
    }


def test_exactly_these_names_are_public():
    assert _shown_names() == PUBLIC


def test_every_public_name_leads_somewhere():
    for name in PUBLIC:
        assert getattr(atoll, name) is not None


def test_every_public_class_and_function_is_documented():
    silent = [
        name
        for name in PUBLIC
        if callable(getattr(atoll, name)) and not inspect.getdoc(getattr(atoll, name))
    ]
    assert silent == []


def test_a_name_that_does_not_exist_is_an_attribute_error():
    assert not hasattr(atoll, "materialise")


def test_all_errors_share_one_base():
    errors = [
        value
        for name in PUBLIC
        if isinstance(value := getattr(atoll, name), type) and issubclass(value, Exception)
    ]
    assert len(errors) > 10
    assert all(issubclass(one, atoll.Error) for one in errors if one is not atoll.Failure)
