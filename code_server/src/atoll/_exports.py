"""Where each public name of `atoll` is defined.

Read by `atoll` itself, which loads a name when it is first asked for. A test compares this list
with what type checkers see, and with the list of public names.
"""

_NAMES = {
    "atoll._definitions.asset_check_decorators": ("asset_check multi_asset_check"),
    "atoll._definitions.asset_checks": (
        "AssetCheckEvaluation AssetCheckResult AssetCheckSeverity AssetCheckSpec"
    ),
    "atoll._definitions.asset_decorator": ("asset"),
    "atoll._definitions.asset_events": (
        "AssetMaterialization AssetObservation DynamicOutput ExpectationResult "
        "MaterializeResult ObserveResult Output"
    ),
    "atoll._definitions.asset_ins_and_outs": ("AssetIn AssetOut"),
    "atoll._definitions.asset_records": ("AssetPartitionStatus AssetRecord"),
    "atoll._definitions.asset_selection": ("AssetSelection"),
    "atoll._definitions.assets": ("AssetChecksDefinition AssetsDefinition"),
    "atoll._definitions.automation_conditions": ("AutomationCondition"),
    "atoll._definitions.automation_contexts": ("AutomationContext AutomationResult"),
    "atoll._definitions.automation_sensors": ("AutomationConditionSensorDefinition"),
    "atoll._definitions.check_builders.column_schemas": ("build_column_schema_change_checks"),
    "atoll._definitions.check_builders.freshness_sensors": ("build_sensor_for_freshness_checks"),
    "atoll._definitions.check_builders.metadata_bounds": ("build_metadata_bounds_checks"),
    "atoll._definitions.check_builders.partition_freshness": (
        "build_time_partition_freshness_checks"
    ),
    "atoll._definitions.check_builders.update_freshness": ("build_last_update_freshness_checks"),
    "atoll._definitions.code_links": (
        "AnchorBasedFilePathMapping FilePathMapping link_code_references_to_git "
        "with_source_code_references"
    ),
    "atoll._definitions.code_references": ("LocalFileCodeReference UrlCodeReference"),
    "atoll._definitions.config": ("Config PermissiveConfig"),
    "atoll._definitions.config_files": (
        "config_from_files config_from_pkg_resources config_from_yaml_strings"
    ),
    "atoll._definitions.config_mapping": ("ConfigMapping config_mapping configured"),
    "atoll._definitions.config_schemas": (
        "Array BoolSource ConfigSchema Enum EnumValue Field IntSource Map Noneable Permissive "
        "ScalarUnion Selector Shape StringSource"
    ),
    "atoll._definitions.data_versions": ("DataProvenance DataVersion DataVersionsByPartition"),
    "atoll._definitions.definitions": ("Definitions"),
    "atoll._definitions.environment": ("EnvVar"),
    "atoll._definitions.event_filters": ("EventRecordsFilter RunStatusChangeRecordsFilter"),
    "atoll._definitions.events": (
        "AssetRecordsFilter Event EventLogEntry EventLogRecord EventRecordsResult EventType"
    ),
    "atoll._definitions.executors": (
        "Executor ExecutorDefinition ExecutorRequirement InitExecutorContext executor "
        "in_process_executor multi_or_in_process_executor "
        "multiple_process_executor_requirements multiprocess_executor"
    ),
    "atoll._definitions.failures": ("Failure"),
    "atoll._definitions.file_handles": ("FileHandle LocalFileHandle file_relative_path"),
    "atoll._definitions.freshness": ("FreshnessPolicy apply_freshness_policy"),
    "atoll._definitions.graph_asset_decorators": ("graph_asset graph_multi_asset"),
    "atoll._definitions.in_process": ("ExecuteInProcessResult"),
    "atoll._definitions.job_config": ("validate_run_config"),
    "atoll._definitions.job_decorator": ("job"),
    "atoll._definitions.job_selectors": ("CodeLocationSelector JobSelector"),
    "atoll._definitions.jobs": ("JobDefinition define_asset_job"),
    "atoll._definitions.keys": ("AssetCheckKey AssetJobKey AssetKey AssetOrCheckKey"),
    "atoll._definitions.loading.asset_checks": (
        "load_asset_checks_from_current_module load_asset_checks_from_modules "
        "load_asset_checks_from_package_module load_asset_checks_from_package_name"
    ),
    "atoll._definitions.loading.assets": (
        "load_assets_from_current_module load_assets_from_modules "
        "load_assets_from_package_module load_assets_from_package_name"
    ),
    "atoll._definitions.loading.lazy": ("LazyDefinitions"),
    "atoll._definitions.loading.whole": (
        "load_definitions_from_current_module load_definitions_from_module "
        "load_definitions_from_modules load_definitions_from_package_module "
        "load_definitions_from_package_name"
    ),
    "atoll._definitions.location_policies": ("LocationPolicy PolicyRule"),
    "atoll._definitions.loggers": (
        "InitLoggerContext LoggerDefinition build_init_logger_context logger"
    ),
    "atoll._definitions.metadata": (
        "AssetMetadataValue BoolMetadataValue CodeReferencesMetadataValue FloatMetadataValue "
        "IntMetadataValue JobMetadataValue JsonMetadataValue MarkdownMetadataValue "
        "MetadataValue NotebookMetadataValue NullMetadataValue PathMetadataValue "
        "PoolMetadataValue PythonArtifactMetadataValue RunMetadataValue "
        "TableColumnLineageMetadataValue TableMetadataValue TableSchemaMetadataValue "
        "TextMetadataValue TimestampMetadataValue UrlMetadataValue"
    ),
    "atoll._definitions.multi_asset_decorators": ("multi_asset"),
    "atoll._definitions.nodes.bindings": (
        "DependencyDefinition DynamicCollectDependencyDefinition InputMapping "
        "MultiDependencyDefinition OutputMapping"
    ),
    "atoll._definitions.nodes.graph": ("GraphDefinition"),
    "atoll._definitions.nodes.graph_decorator": ("graph"),
    "atoll._definitions.nodes.hooks": (
        "HookDefinition HookExecutionResult failure_hook success_hook"
    ),
    "atoll._definitions.nodes.ins_and_outs": ("DynamicOut GraphIn GraphOut In Out"),
    "atoll._definitions.nodes.node": ("NodeInvocation PendingNodeInvocation"),
    "atoll._definitions.nodes.op": ("OpDefinition"),
    "atoll._definitions.nodes.op_decorator": ("op"),
    "atoll._definitions.nodes.retries": ("Backoff Jitter RetryPolicy RetryRequested"),
    "atoll._definitions.observable_decorators": (
        "multi_observable_source_asset observable_source_asset"
    ),
    "atoll._definitions.partitioned_config": (
        "PartitionedConfig daily_partitioned_config dynamic_partitioned_config "
        "hourly_partitioned_config monthly_partitioned_config partitioned_config "
        "static_partitioned_config weekly_partitioned_config"
    ),
    "atoll._definitions.partitioned_schedules": ("build_schedule_from_partitioned_job"),
    "atoll._definitions.resource_contract": ("ResourceParam"),
    "atoll._definitions.resources.configurable": (
        "ConfigurableResource ConfigurableResourceFactory PartialResource ResourceDependency"
    ),
    "atoll._definitions.resources.decorators": ("input_manager io_manager resource"),
    "atoll._definitions.resources.definition": ("ResourceDefinition make_values_resource"),
    "atoll._definitions.resources.init_context": ("InitResourceContext"),
    "atoll._definitions.resources.io_manager_definitions": (
        "IOManagerDefinition InputManagerDefinition"
    ),
    "atoll._definitions.run_config": ("RunConfig"),
    "atoll._definitions.run_requests": (
        "RunRequest SensorResult SensorReturnTypesUnion SkipReason"
    ),
    "atoll._definitions.run_status_sensors": (
        "RunStatusSensorDefinition run_failure_sensor run_status_sensor"
    ),
    "atoll._definitions.runs": ("MAX_RUNTIME_SECONDS_TAG Run RunRecord RunStatus RunsFilter"),
    "atoll._definitions.schedule_decorator": ("schedule"),
    "atoll._definitions.schedules": ("DefaultScheduleStatus ScheduleDefinition"),
    "atoll._definitions.sensor_decorators": ("asset_sensor multi_asset_sensor sensor"),
    "atoll._definitions.sensors": (
        "AssetSensorDefinition DefaultSensorStatus MultiAssetSensorDefinition "
        "SensorDefinition SensorType"
    ),
    "atoll._definitions.specs": ("AssetDep AssetSpec map_asset_specs"),
    "atoll._definitions.table_metadata": ("MetadataEntry TableMetadataSet"),
    "atoll._definitions.tables": (
        "TableColumn TableColumnConstraints TableColumnDep TableColumnLineage "
        "TableConstraints TableRecord TableSchema"
    ),
    "atoll._definitions.ticks": ("TickResult"),
    "atoll._definitions.value_types.builtin": ("Bool Float Int Nothing String"),
    "atoll._definitions.value_types.definition": ("PythonObjectType Type TypeCheck"),
    "atoll._definitions.value_types.generics": ("Dict List Optional Set Tuple"),
    "atoll._definitions.value_types.loaders": ("TypeLoader type_loader"),
    "atoll._definitions.value_types.pandera_schemas": ("pandera_schema_to_type"),
    "atoll._definitions.value_types.registration": (
        "make_python_type_usable_as_type usable_as_type"
    ),
    "atoll._definitions.webhook_sensors": ("WebhookRequest WebhookSensorDefinition webhook_sensor"),
    "atoll._execution.asset_values": ("AssetValueLoader"),
    "atoll._execution.automation_evaluation": (
        "EvaluateAutomationConditionsResult evaluate_automation_conditions"
    ),
    "atoll._execution.configurable_io_managers": (
        "ConfigurableIOManager ConfigurableIOManagerFactory ConfigurableLegacyIOManagerAdapter"
    ),
    "atoll._execution.console_loggers": (
        "JsonLogFormatter colored_console_logger default_loggers default_system_loggers "
        "json_console_logger"
    ),
    "atoll._execution.direct_contexts": (
        "build_asset_check_context build_asset_context build_op_context"
    ),
    "atoll._execution.direct_hook_context": ("build_hook_context"),
    "atoll._execution.hook_calls": ("HookContext"),
    "atoll._execution.io_managers": (
        "IOManager InMemoryIOManager InputContext InputManager OutputContext "
        "build_input_context build_output_context mem_io_manager"
    ),
    "atoll._execution.job_execution": (
        "JobExecutionResult ReexecutionOptions build_reconstructable_job execute_job "
        "reconstructable"
    ),
    "atoll._execution.logs": ("LogManager"),
    "atoll._execution.materialization": ("materialize materialize_to_memory"),
    "atoll._execution.multi_asset_context": (
        "MultiAssetSensorEvaluationContext build_multi_asset_sensor_context"
    ),
    "atoll._execution.op_context": (
        "AssetCheckExecutionContext AssetExecutionContext OpExecutionContext"
    ),
    "atoll._execution.pipes.client": ("PipesClient PipesClientCompletedInvocation"),
    "atoll._execution.pipes.composite_readers": ("PipesCompositeMessageReader"),
    "atoll._execution.pipes.file_readers": (
        "PipesFifoMessageReader PipesFileMessageReader PipesTempFileMessageReader"
    ),
    "atoll._execution.pipes.injectors": (
        "PipesContextInjector PipesEnvContextInjector PipesFileContextInjector "
        "PipesTempFileContextInjector"
    ),
    "atoll._execution.pipes.messages": ("PipesLaunchedData PipesMessageHandler PipesMessageReader"),
    "atoll._execution.pipes.reported": ("PipesExecutionResult"),
    "atoll._execution.pipes.session": ("PipesSession open_pipes_session"),
    "atoll._execution.pipes.subprocess_client": ("PipesSubprocessClient"),
    "atoll._execution.pipes.threaded_readers": (
        "PipesBlobStoreMessageReader PipesLogReader PipesThreadedMessageReader"
    ),
    "atoll._execution.resource_contexts": (
        "build_init_resource_context build_resources with_resources"
    ),
    "atoll._execution.run_status_contexts": (
        "RunFailureSensorContext RunStatusSensorContext build_run_status_sensor_context"
    ),
    "atoll._execution.schedule_contexts": ("ScheduleEvaluationContext build_schedule_context"),
    "atoll._execution.sensor_contexts": ("SensorEvaluationContext build_sensor_context"),
    "atoll._execution.staleness": (
        "StaleCause StaleCauseCategory StaleStatus Staleness stale_assets_of"
    ),
    "atoll._execution.storing": ("FilesystemIOManager fs_io_manager"),
    "atoll._execution.type_checking": ("TypeCheckContext TypeLoaderContext check_type"),
    "atoll._execution.upath_io_manager": ("UPathIOManager"),
    "atoll._execution.user_loggers": ("get_logger"),
    "atoll._instance.instance": ("Instance instance_for_test"),
    "atoll._instance.partitions": ("PaginatedResults"),
    "atoll._partitions.backfill_policy": ("BackfillPolicy"),
    "atoll._partitions.calendar_partitions": (
        "DailyPartitionsDefinition HourlyPartitionsDefinition MonthlyPartitionsDefinition "
        "WeeklyPartitionsDefinition"
    ),
    "atoll._partitions.contexts": ("partition_loading_context"),
    "atoll._partitions.definitions": ("PartitionsDefinition"),
    "atoll._partitions.dynamic_partitions": ("DynamicPartitionsDefinition"),
    "atoll._partitions.dynamic_requests": (
        "AddDynamicPartitionsRequest DeleteDynamicPartitionsRequest"
    ),
    "atoll._partitions.key_mappings": ("IdentityPartitionMapping StaticPartitionMapping"),
    "atoll._partitions.mappings": ("PartitionMapping"),
    "atoll._partitions.multi_mappings": (
        "DimensionPartitionMapping MultiPartitionMapping MultiToSingleDimensionPartitionMapping"
    ),
    "atoll._partitions.multi_partitions": ("MultiPartitionsDefinition"),
    "atoll._partitions.partition_keys": ("MultiPartitionKey Partition PartitionKeyRange"),
    "atoll._partitions.static_partitions": ("StaticPartitionsDefinition"),
    "atoll._partitions.time_window_mappings": ("TimeWindowPartitionMapping"),
    "atoll._partitions.time_window_partitions": ("TimeWindowPartitionsDefinition"),
    "atoll._partitions.whole_mappings": (
        "AllPartitionMapping LastPartitionMapping SpecificPartitionsPartitionMapping"
    ),
    "atoll._partitions.window_sequences": ("TimeWindow"),
    "atoll.errors": (
        "AssetCheckFailedError ConfigMappingFunctionError Error ExecutionHandleOutputError "
        "ExecutionLoadInputError ExecutionStepExecutionError ForeignValueError "
        "InstanceUnavailableError InvalidAssetSelectionError InvalidConfigDefinitionError "
        "InvalidConfigError InvalidDefinitionError InvalidInvocationError InvalidSubsetError "
        "InvariantViolationError ModuleImportError PipesExecutionError ResourceFunctionError "
        "RunNotFoundError StepOutputNotFoundError StoredValueError TypeCheckDidNotPass "
        "TypeCheckError UnknownPartitionError UnknownResourceError "
        "UnmetExecutorRequirementsError UnsupportedParameterError UserCodeExecutionError "
        "ValueNotFoundError"
    ),
}
MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}
