"""The list of public names. Adding one is a decision: it is kept for good."""

import inspect
import types

import atoll

PUBLIC = {
    # automation conditions
    "AssetJobKey",
    "AutomationCondition",
    "AutomationConditionSensorDefinition",
    "AutomationContext",
    "AutomationResult",
    "EvaluateAutomationConditionsResult",
    "evaluate_automation_conditions",
    # executors and runs again
    "Executor",
    "ExecutorDefinition",
    "ExecutorRequirement",
    "InitExecutorContext",
    "JobExecutionResult",
    "ReexecutionOptions",
    "UnmetExecutorRequirementsError",
    "build_reconstructable_job",
    "execute_job",
    "executor",
    "in_process_executor",
    "multi_or_in_process_executor",
    "multiple_process_executor_requirements",
    "multiprocess_executor",
    "reconstructable",
    # assets
    "AssetCheckKey", "AssetDep", "AssetExecutionContext", "AssetIn", "AssetKey",
    "AssetMaterialization",
    "AssetObservation", "AssetSelection", "AssetSpec", "AssetsDefinition", "MaterializeResult",
    "Output", "asset", "build_asset_context", "map_asset_specs", "materialize",
    "materialize_to_memory",
    # config and jobs
    "Config", "PermissiveConfig", "RunConfig", "ExecuteInProcessResult", "JobDefinition",
    "define_asset_job", "Definitions",
    # staleness
    "StaleCause",
    "StaleCauseCategory",
    "StaleStatus",
    "Staleness",
    "stale_assets_of",
    # what tests call
    "build_hook_context",
    "validate_run_config",
    # schemas of config
    "Array",
    "BoolSource",
    "ConfigMapping",
    "ConfigMappingFunctionError",
    "ConfigSchema",
    "Enum",
    "EnumValue",
    "EnvVar",
    "Field",
    "IntSource",
    "InvalidConfigDefinitionError",
    "Map",
    "Noneable",
    "Permissive",
    "ScalarUnion",
    "Selector",
    "Shape",
    "StringSource",
    "config_from_files",
    "config_from_pkg_resources",
    "config_from_yaml_strings",
    "config_mapping",
    "configured",
    # policy between locations
    "LocationPolicy",
    "PolicyRule",
    # loading
    "LazyDefinitions",
    "load_asset_checks_from_current_module", "load_asset_checks_from_modules",
    "load_asset_checks_from_package_module", "load_asset_checks_from_package_name",
    "load_assets_from_current_module", "load_assets_from_modules",
    "load_assets_from_package_module", "load_assets_from_package_name",
    "load_definitions_from_current_module", "load_definitions_from_module",
    "load_definitions_from_modules", "load_definitions_from_package_module",
    "load_definitions_from_package_name",
    # sensors
    "AssetSensorDefinition", "CodeLocationSelector", "DefaultSensorStatus", "JobSelector",
    "MultiAssetSensorDefinition", "MultiAssetSensorEvaluationContext",
    "RunFailureSensorContext", "RunRequest", "RunStatusSensorContext",
    "RunStatusSensorDefinition", "SensorDefinition",
    "SensorEvaluationContext", "SensorResult", "SensorType", "SkipReason", "TickResult",
    "WebhookRequest", "WebhookSensorDefinition", "webhook_sensor",
    "asset_sensor", "build_multi_asset_sensor_context", "build_run_status_sensor_context",
    "build_sensor_context", "multi_asset_sensor", "run_failure_sensor", "run_status_sensor",
    "sensor",
    # checks
    "AssetCheckEvaluation",
    "AssetCheckExecutionContext",
    "AssetCheckFailedError",
    "AssetCheckResult",
    "AssetCheckSeverity",
    "AssetCheckSpec",
    "AssetChecksDefinition",
    "asset_check",
    "build_asset_check_context",
    "multi_asset_check",
    # checks that come along
    "build_column_schema_change_checks",
    "build_last_update_freshness_checks",
    "build_metadata_bounds_checks",
    "build_sensor_for_freshness_checks",
    "build_time_partition_freshness_checks",
    # schedules
    "DefaultScheduleStatus",
    "ScheduleDefinition",
    "ScheduleEvaluationContext",
    "build_schedule_context",
    "build_schedule_from_partitioned_job",
    "schedule",
    # the log and runs
    "AssetRecordsFilter", "Event", "EventLogEntry", "EventLogRecord", "EventRecordsResult",
    "EventType", "Instance", "LogManager", "MAX_RUNTIME_SECONDS_TAG", "Run", "RunStatus",
    "AssetPartitionStatus",
    "AssetRecord",
    "EventRecordsFilter",
    "RunRecord",
    "RunStatusChangeRecordsFilter",
    "RunsFilter",
    "instance_for_test",
    # dynamic partitions
    "AddDynamicPartitionsRequest",
    "DeleteDynamicPartitionsRequest",
    # IO managers
    "FilesystemIOManager", "IOManager", "IOManagerDefinition", "InMemoryIOManager",
    "InputContext", "OutputContext", "build_input_context", "build_output_context",
    "mem_io_manager",
    # resources
    "ConfigurableIOManager",
    "ConfigurableIOManagerFactory",
    "ConfigurableLegacyIOManagerAdapter",
    "ConfigurableResource",
    "ConfigurableResourceFactory",
    "InitResourceContext",
    "InputManager",
    "InputManagerDefinition",
    "ResourceDefinition",
    "ResourceDependency",
    "ResourceFunctionError",
    "ResourceParam",
    "build_init_resource_context",
    "build_resources",
    "fs_io_manager",
    "UPathIOManager",
    "input_manager",
    "io_manager",
    "make_values_resource",
    "resource",
    "with_resources",
    # loggers
    "InitLoggerContext",
    "LoggerDefinition",
    "build_init_logger_context",
    "colored_console_logger",
    "default_loggers",
    "default_system_loggers",
    "json_console_logger",
    "logger",
    # metadata
    "AssetMetadataValue", "BoolMetadataValue", "FloatMetadataValue", "IntMetadataValue",
    "JobMetadataValue", "JsonMetadataValue", "MarkdownMetadataValue", "MetadataValue",
    "NotebookMetadataValue", "NullMetadataValue", "PathMetadataValue",
    "PythonArtifactMetadataValue", "RunMetadataValue", "TableMetadataValue",
    "TableSchemaMetadataValue", "TextMetadataValue", "TimestampMetadataValue",
    "UrlMetadataValue", "TableColumn", "TableColumnConstraints", "TableConstraints",
    "TableRecord", "TableSchema",
    # types
    "Any",
    "Bool",
    "Dict",
    "Float",
    "Int",
    "List",
    "Nothing",
    "Optional",
    "PythonObjectType",
    "Set",
    "String",
    "Tuple",
    "Type",
    "TypeCheck",
    "TypeCheckContext",
    "TypeCheckDidNotPass",
    "TypeCheckError",
    "TypeLoader",
    "TypeLoaderContext",
    "check_type",
    "make_python_type_usable_as_type",
    "pandera_schema_to_type",
    "type_loader",
    "usable_as_type",
    # external programs
    "PipesBlobStoreMessageReader", "PipesClient", "PipesClientCompletedInvocation",
    "PipesCompositeMessageReader", "PipesContextInjector", "PipesEnvContextInjector",
    "PipesExecutionResult", "PipesFifoMessageReader", "PipesFileContextInjector",
    "PipesFileMessageReader", "PipesLaunchedData", "PipesLogReader", "PipesMessageHandler",
    "PipesMessageReader", "PipesSession", "PipesSubprocessClient", "PipesTempFileContextInjector",
    "PipesTempFileMessageReader", "PipesThreadedMessageReader", "open_pipes_session",
    "PipesExecutionError",
    "CodeReferencesMetadataValue",
    "MetadataEntry",
    "PoolMetadataValue",
    "TableColumnDep",
    "TableColumnLineage",
    "TableColumnLineageMetadataValue",
    "TableMetadataSet",
    # where code and files are
    "AnchorBasedFilePathMapping",
    "FileHandle",
    "FilePathMapping",
    "LocalFileCodeReference",
    "LocalFileHandle",
    "UrlCodeReference",
    "link_code_references_to_git",
    "with_source_code_references",
    # results and versions of data
    "DataProvenance",
    "DataVersion",
    "DataVersionsByPartition",
    "DynamicOutput",
    "ExpectationResult",
    "ObserveResult",
    # partitions
    "AllPartitionMapping", "BackfillPolicy",
    "DailyPartitionsDefinition", "DimensionPartitionMapping",
    "DynamicPartitionsDefinition", "HourlyPartitionsDefinition", "IdentityPartitionMapping",
    "LastPartitionMapping", "MonthlyPartitionsDefinition", "MultiPartitionKey",
    "MultiPartitionMapping", "MultiPartitionsDefinition",
    "MultiToSingleDimensionPartitionMapping", "Partition", "PartitionKeyRange",
    "PartitionMapping", "PartitionedConfig", "PartitionsDefinition",
    "SpecificPartitionsPartitionMapping", "StaticPartitionMapping", "StaticPartitionsDefinition",
    "TimeWindow", "TimeWindowPartitionMapping", "TimeWindowPartitionsDefinition",
    "WeeklyPartitionsDefinition", "daily_partitioned_config", "dynamic_partitioned_config",
    "hourly_partitioned_config", "monthly_partitioned_config", "partition_loading_context",
    "partitioned_config", "static_partitioned_config", "weekly_partitioned_config",
    # ops, graphs, jobs, checks
    "AssetOut", "AssetValueLoader", "Backoff",
    "DependencyDefinition", "DynamicCollectDependencyDefinition", "DynamicOut", "GraphDefinition",
    "GraphIn", "GraphOut", "HookContext", "HookDefinition", "HookExecutionResult", "In",
    "InputMapping", "Jitter", "MultiDependencyDefinition", "NodeInvocation", "OpDefinition",
    "OpExecutionContext", "Out", "OutputMapping", "PartialResource", "PendingNodeInvocation",
    "RetryPolicy", "RetryRequested", "build_op_context", "failure_hook", "graph", "graph_asset",
    "graph_multi_asset", "job",
    "multi_asset", "multi_observable_source_asset",
    "observable_source_asset", "op", "success_hook",
    # what is small
    "AssetOrCheckKey",
    "FreshnessPolicy",
    "JsonLogFormatter",
    "PaginatedResults",
    "SensorReturnTypesUnion",
    "apply_freshness_policy",
    "file_relative_path",
    "get_logger",
    # errors
    "ExecutionHandleOutputError",
    "ExecutionLoadInputError",
    "Error", "ExecutionStepExecutionError", "Failure", "ForeignValueError",
    "InstanceUnavailableError", "InvalidAssetSelectionError", "InvalidConfigError",
    "InvalidDefinitionError",
    "InvalidInvocationError", "InvalidSubsetError", "InvariantViolationError",
    "ModuleImportError",
    "RunNotFoundError", "StepOutputNotFoundError", "StoredValueError", "UnknownResourceError",
    "UnknownPartitionError", "UnsupportedParameterError", "UserCodeExecutionError",
    "ValueNotFoundError",
}  # fmt: skip
# Python's own, under the names of the field.
PYTHONS = {"Any", "Bool", "Float", "Int", "Nothing", "String"}
NOT_OURS = {"Callable", "TYPE_CHECKING"}


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
        for name in PUBLIC - PYTHONS
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
    # What user code raises to say something is no error of Atoll's.
    raised_by_users = (atoll.Failure, atoll.RetryRequested)
    assert all(issubclass(one, atoll.Error) for one in errors if one not in raised_by_users)
