from typing import Any as Any

from atoll._definitions.asset_check_decorators import (
    asset_check as asset_check,
    multi_asset_check as multi_asset_check,
)
from atoll._definitions.asset_checks import (
    AssetCheckEvaluation as AssetCheckEvaluation,
    AssetCheckResult as AssetCheckResult,
    AssetCheckSeverity as AssetCheckSeverity,
    AssetCheckSpec as AssetCheckSpec,
)
from atoll._definitions.asset_decorator import (
    asset as asset,
)
from atoll._definitions.asset_events import (
    AssetMaterialization as AssetMaterialization,
    AssetObservation as AssetObservation,
    DynamicOutput as DynamicOutput,
    ExpectationResult as ExpectationResult,
    MaterializeResult as MaterializeResult,
    ObserveResult as ObserveResult,
    Output as Output,
)
from atoll._definitions.asset_ins_and_outs import (
    AssetIn as AssetIn,
    AssetOut as AssetOut,
)
from atoll._definitions.asset_records import (
    AssetPartitionStatus as AssetPartitionStatus,
    AssetRecord as AssetRecord,
)
from atoll._definitions.asset_selection import (
    AssetSelection as AssetSelection,
)
from atoll._definitions.assets import (
    AssetChecksDefinition as AssetChecksDefinition,
    AssetsDefinition as AssetsDefinition,
)
from atoll._definitions.automation_conditions import (
    AutomationCondition as AutomationCondition,
)
from atoll._definitions.automation_contexts import (
    AutomationContext as AutomationContext,
    AutomationResult as AutomationResult,
)
from atoll._definitions.automation_sensors import (
    AutomationConditionSensorDefinition as AutomationConditionSensorDefinition,
)
from atoll._definitions.check_builders.column_schemas import (
    build_column_schema_change_checks as build_column_schema_change_checks,
)
from atoll._definitions.check_builders.freshness_sensors import (
    build_sensor_for_freshness_checks as build_sensor_for_freshness_checks,
)
from atoll._definitions.check_builders.metadata_bounds import (
    build_metadata_bounds_checks as build_metadata_bounds_checks,
)
from atoll._definitions.check_builders.partition_freshness import (
    build_time_partition_freshness_checks as build_time_partition_freshness_checks,
)
from atoll._definitions.check_builders.update_freshness import (
    build_last_update_freshness_checks as build_last_update_freshness_checks,
)
from atoll._definitions.code_links import (
    AnchorBasedFilePathMapping as AnchorBasedFilePathMapping,
    FilePathMapping as FilePathMapping,
    link_code_references_to_git as link_code_references_to_git,
    with_source_code_references as with_source_code_references,
)
from atoll._definitions.code_references import (
    LocalFileCodeReference as LocalFileCodeReference,
    UrlCodeReference as UrlCodeReference,
)
from atoll._definitions.config import (
    Config as Config,
    PermissiveConfig as PermissiveConfig,
)
from atoll._definitions.config_files import (
    config_from_files as config_from_files,
    config_from_pkg_resources as config_from_pkg_resources,
    config_from_yaml_strings as config_from_yaml_strings,
)
from atoll._definitions.config_mapping import (
    ConfigMapping as ConfigMapping,
    config_mapping as config_mapping,
    configured as configured,
)
from atoll._definitions.config_schemas import (
    Array as Array,
    BoolSource as BoolSource,
    ConfigSchema as ConfigSchema,
    Enum as Enum,
    EnumValue as EnumValue,
    Field as Field,
    IntSource as IntSource,
    Map as Map,
    Noneable as Noneable,
    Permissive as Permissive,
    ScalarUnion as ScalarUnion,
    Selector as Selector,
    Shape as Shape,
    StringSource as StringSource,
)
from atoll._definitions.data_versions import (
    DataProvenance as DataProvenance,
    DataVersion as DataVersion,
    DataVersionsByPartition as DataVersionsByPartition,
)
from atoll._definitions.definitions import (
    Definitions as Definitions,
)
from atoll._definitions.environment import (
    EnvVar as EnvVar,
)
from atoll._definitions.event_filters import (
    EventRecordsFilter as EventRecordsFilter,
    RunStatusChangeRecordsFilter as RunStatusChangeRecordsFilter,
)
from atoll._definitions.events import (
    AssetRecordsFilter as AssetRecordsFilter,
    Event as Event,
    EventLogEntry as EventLogEntry,
    EventLogRecord as EventLogRecord,
    EventRecordsResult as EventRecordsResult,
    EventType as EventType,
)
from atoll._definitions.executors import (
    Executor as Executor,
    ExecutorDefinition as ExecutorDefinition,
    ExecutorRequirement as ExecutorRequirement,
    InitExecutorContext as InitExecutorContext,
    executor as executor,
    in_process_executor as in_process_executor,
    multi_or_in_process_executor as multi_or_in_process_executor,
    multiple_process_executor_requirements as multiple_process_executor_requirements,
    multiprocess_executor as multiprocess_executor,
)
from atoll._definitions.failures import (
    Failure as Failure,
)
from atoll._definitions.file_handles import (
    FileHandle as FileHandle,
    LocalFileHandle as LocalFileHandle,
    file_relative_path as file_relative_path,
)
from atoll._definitions.freshness import (
    FreshnessPolicy as FreshnessPolicy,
    apply_freshness_policy as apply_freshness_policy,
)
from atoll._definitions.graph_asset_decorators import (
    graph_asset as graph_asset,
    graph_multi_asset as graph_multi_asset,
)
from atoll._definitions.in_process import (
    ExecuteInProcessResult as ExecuteInProcessResult,
)
from atoll._definitions.job_config import (
    validate_run_config as validate_run_config,
)
from atoll._definitions.job_decorator import (
    job as job,
)
from atoll._definitions.job_selectors import (
    CodeLocationSelector as CodeLocationSelector,
    JobSelector as JobSelector,
)
from atoll._definitions.jobs import (
    JobDefinition as JobDefinition,
    define_asset_job as define_asset_job,
)
from atoll._definitions.keys import (
    AssetCheckKey as AssetCheckKey,
    AssetJobKey as AssetJobKey,
    AssetKey as AssetKey,
    AssetOrCheckKey as AssetOrCheckKey,
)
from atoll._definitions.loading.asset_checks import (
    load_asset_checks_from_current_module as load_asset_checks_from_current_module,
    load_asset_checks_from_modules as load_asset_checks_from_modules,
    load_asset_checks_from_package_module as load_asset_checks_from_package_module,
    load_asset_checks_from_package_name as load_asset_checks_from_package_name,
)
from atoll._definitions.loading.assets import (
    load_assets_from_current_module as load_assets_from_current_module,
    load_assets_from_modules as load_assets_from_modules,
    load_assets_from_package_module as load_assets_from_package_module,
    load_assets_from_package_name as load_assets_from_package_name,
)
from atoll._definitions.loading.lazy import (
    LazyDefinitions as LazyDefinitions,
)
from atoll._definitions.loading.whole import (
    load_definitions_from_current_module as load_definitions_from_current_module,
    load_definitions_from_module as load_definitions_from_module,
    load_definitions_from_modules as load_definitions_from_modules,
    load_definitions_from_package_module as load_definitions_from_package_module,
    load_definitions_from_package_name as load_definitions_from_package_name,
)
from atoll._definitions.location_policies import (
    LocationPolicy as LocationPolicy,
    PolicyRule as PolicyRule,
)
from atoll._definitions.loggers import (
    InitLoggerContext as InitLoggerContext,
    LoggerDefinition as LoggerDefinition,
    build_init_logger_context as build_init_logger_context,
    logger as logger,
)
from atoll._definitions.metadata import (
    AssetMetadataValue as AssetMetadataValue,
    BoolMetadataValue as BoolMetadataValue,
    CodeReferencesMetadataValue as CodeReferencesMetadataValue,
    FloatMetadataValue as FloatMetadataValue,
    IntMetadataValue as IntMetadataValue,
    JobMetadataValue as JobMetadataValue,
    JsonMetadataValue as JsonMetadataValue,
    MarkdownMetadataValue as MarkdownMetadataValue,
    MetadataValue as MetadataValue,
    NotebookMetadataValue as NotebookMetadataValue,
    NullMetadataValue as NullMetadataValue,
    PathMetadataValue as PathMetadataValue,
    PoolMetadataValue as PoolMetadataValue,
    PythonArtifactMetadataValue as PythonArtifactMetadataValue,
    RunMetadataValue as RunMetadataValue,
    TableColumnLineageMetadataValue as TableColumnLineageMetadataValue,
    TableMetadataValue as TableMetadataValue,
    TableSchemaMetadataValue as TableSchemaMetadataValue,
    TextMetadataValue as TextMetadataValue,
    TimestampMetadataValue as TimestampMetadataValue,
    UrlMetadataValue as UrlMetadataValue,
)
from atoll._definitions.multi_asset_decorators import (
    multi_asset as multi_asset,
)
from atoll._definitions.nodes.bindings import (
    DependencyDefinition as DependencyDefinition,
    DynamicCollectDependencyDefinition as DynamicCollectDependencyDefinition,
    InputMapping as InputMapping,
    MultiDependencyDefinition as MultiDependencyDefinition,
    OutputMapping as OutputMapping,
)
from atoll._definitions.nodes.graph import (
    GraphDefinition as GraphDefinition,
)
from atoll._definitions.nodes.graph_decorator import (
    graph as graph,
)
from atoll._definitions.nodes.hooks import (
    HookDefinition as HookDefinition,
    HookExecutionResult as HookExecutionResult,
    failure_hook as failure_hook,
    success_hook as success_hook,
)
from atoll._definitions.nodes.ins_and_outs import (
    DynamicOut as DynamicOut,
    GraphIn as GraphIn,
    GraphOut as GraphOut,
    In as In,
    Out as Out,
)
from atoll._definitions.nodes.node import (
    NodeInvocation as NodeInvocation,
    PendingNodeInvocation as PendingNodeInvocation,
)
from atoll._definitions.nodes.op import (
    OpDefinition as OpDefinition,
)
from atoll._definitions.nodes.op_decorator import (
    op as op,
)
from atoll._definitions.nodes.retries import (
    Backoff as Backoff,
    Jitter as Jitter,
    RetryPolicy as RetryPolicy,
    RetryRequested as RetryRequested,
)
from atoll._definitions.observable_decorators import (
    multi_observable_source_asset as multi_observable_source_asset,
    observable_source_asset as observable_source_asset,
)
from atoll._definitions.partitioned_config import (
    PartitionedConfig as PartitionedConfig,
    daily_partitioned_config as daily_partitioned_config,
    dynamic_partitioned_config as dynamic_partitioned_config,
    hourly_partitioned_config as hourly_partitioned_config,
    monthly_partitioned_config as monthly_partitioned_config,
    partitioned_config as partitioned_config,
    static_partitioned_config as static_partitioned_config,
    weekly_partitioned_config as weekly_partitioned_config,
)
from atoll._definitions.partitioned_schedules import (
    build_schedule_from_partitioned_job as build_schedule_from_partitioned_job,
)
from atoll._definitions.resource_contract import (
    ResourceParam as ResourceParam,
)
from atoll._definitions.resources.configurable import (
    ConfigurableResource as ConfigurableResource,
    ConfigurableResourceFactory as ConfigurableResourceFactory,
    PartialResource as PartialResource,
    ResourceDependency as ResourceDependency,
)
from atoll._definitions.resources.decorators import (
    input_manager as input_manager,
    io_manager as io_manager,
    resource as resource,
)
from atoll._definitions.resources.definition import (
    ResourceDefinition as ResourceDefinition,
    make_values_resource as make_values_resource,
)
from atoll._definitions.resources.init_context import (
    InitResourceContext as InitResourceContext,
)
from atoll._definitions.resources.io_manager_definitions import (
    IOManagerDefinition as IOManagerDefinition,
    InputManagerDefinition as InputManagerDefinition,
)
from atoll._definitions.run_config import (
    RunConfig as RunConfig,
)
from atoll._definitions.run_requests import (
    RunRequest as RunRequest,
    SensorResult as SensorResult,
    SensorReturnTypesUnion as SensorReturnTypesUnion,
    SkipReason as SkipReason,
)
from atoll._definitions.run_status_sensors import (
    RunStatusSensorDefinition as RunStatusSensorDefinition,
    run_failure_sensor as run_failure_sensor,
    run_status_sensor as run_status_sensor,
)
from atoll._definitions.runs import (
    MAX_RUNTIME_SECONDS_TAG as MAX_RUNTIME_SECONDS_TAG,
    Run as Run,
    RunRecord as RunRecord,
    RunStatus as RunStatus,
    RunsFilter as RunsFilter,
)
from atoll._definitions.schedule_decorator import (
    schedule as schedule,
)
from atoll._definitions.schedules import (
    DefaultScheduleStatus as DefaultScheduleStatus,
    ScheduleDefinition as ScheduleDefinition,
)
from atoll._definitions.sensor_decorators import (
    asset_sensor as asset_sensor,
    multi_asset_sensor as multi_asset_sensor,
    sensor as sensor,
)
from atoll._definitions.sensors import (
    AssetSensorDefinition as AssetSensorDefinition,
    DefaultSensorStatus as DefaultSensorStatus,
    MultiAssetSensorDefinition as MultiAssetSensorDefinition,
    SensorDefinition as SensorDefinition,
    SensorType as SensorType,
)
from atoll._definitions.specs import (
    AssetDep as AssetDep,
    AssetSpec as AssetSpec,
    map_asset_specs as map_asset_specs,
)
from atoll._definitions.table_metadata import (
    MetadataEntry as MetadataEntry,
    TableMetadataSet as TableMetadataSet,
)
from atoll._definitions.tables import (
    TableColumn as TableColumn,
    TableColumnConstraints as TableColumnConstraints,
    TableColumnDep as TableColumnDep,
    TableColumnLineage as TableColumnLineage,
    TableConstraints as TableConstraints,
    TableRecord as TableRecord,
    TableSchema as TableSchema,
)
from atoll._definitions.ticks import (
    TickResult as TickResult,
)
from atoll._definitions.value_types.builtin import (
    Bool as Bool,
    Float as Float,
    Int as Int,
    Nothing as Nothing,
    String as String,
)
from atoll._definitions.value_types.definition import (
    PythonObjectType as PythonObjectType,
    Type as Type,
    TypeCheck as TypeCheck,
)
from atoll._definitions.value_types.generics import (
    Dict as Dict,
    List as List,
    Optional as Optional,
    Set as Set,
    Tuple as Tuple,
)
from atoll._definitions.value_types.loaders import (
    TypeLoader as TypeLoader,
    type_loader as type_loader,
)
from atoll._definitions.value_types.pandera_schemas import (
    pandera_schema_to_type as pandera_schema_to_type,
)
from atoll._definitions.value_types.registration import (
    make_python_type_usable_as_type as make_python_type_usable_as_type,
    usable_as_type as usable_as_type,
)
from atoll._definitions.webhook_sensors import (
    WebhookRequest as WebhookRequest,
    WebhookSensorDefinition as WebhookSensorDefinition,
    webhook_sensor as webhook_sensor,
)
from atoll._definitions_decorator import (
    definitions as definitions,
)
from atoll._execution.asset_values import (
    AssetValueLoader as AssetValueLoader,
)
from atoll._execution.automation_evaluation import (
    EvaluateAutomationConditionsResult as EvaluateAutomationConditionsResult,
    evaluate_automation_conditions as evaluate_automation_conditions,
)
from atoll._execution.configurable_io_managers import (
    ConfigurableIOManager as ConfigurableIOManager,
    ConfigurableIOManagerFactory as ConfigurableIOManagerFactory,
    ConfigurableLegacyIOManagerAdapter as ConfigurableLegacyIOManagerAdapter,
)
from atoll._execution.console_loggers import (
    JsonLogFormatter as JsonLogFormatter,
    colored_console_logger as colored_console_logger,
    default_loggers as default_loggers,
    default_system_loggers as default_system_loggers,
    json_console_logger as json_console_logger,
)
from atoll._execution.direct_contexts import (
    build_asset_check_context as build_asset_check_context,
    build_asset_context as build_asset_context,
    build_op_context as build_op_context,
)
from atoll._execution.direct_hook_context import (
    build_hook_context as build_hook_context,
)
from atoll._execution.hook_calls import (
    HookContext as HookContext,
)
from atoll._execution.io_managers import (
    IOManager as IOManager,
    InMemoryIOManager as InMemoryIOManager,
    InputContext as InputContext,
    InputManager as InputManager,
    OutputContext as OutputContext,
    build_input_context as build_input_context,
    build_output_context as build_output_context,
    mem_io_manager as mem_io_manager,
)
from atoll._execution.job_execution import (
    JobExecutionResult as JobExecutionResult,
    ReexecutionOptions as ReexecutionOptions,
    build_reconstructable_job as build_reconstructable_job,
    execute_job as execute_job,
    reconstructable as reconstructable,
)
from atoll._execution.logs import (
    LogManager as LogManager,
)
from atoll._execution.materialization import (
    materialize as materialize,
    materialize_to_memory as materialize_to_memory,
)
from atoll._execution.multi_asset_context import (
    MultiAssetSensorEvaluationContext as MultiAssetSensorEvaluationContext,
    build_multi_asset_sensor_context as build_multi_asset_sensor_context,
)
from atoll._execution.op_context import (
    AssetCheckExecutionContext as AssetCheckExecutionContext,
    AssetExecutionContext as AssetExecutionContext,
    OpExecutionContext as OpExecutionContext,
)
from atoll._execution.pipes.client import (
    PipesClient as PipesClient,
    PipesClientCompletedInvocation as PipesClientCompletedInvocation,
)
from atoll._execution.pipes.composite_readers import (
    PipesCompositeMessageReader as PipesCompositeMessageReader,
)
from atoll._execution.pipes.file_readers import (
    PipesFifoMessageReader as PipesFifoMessageReader,
    PipesFileMessageReader as PipesFileMessageReader,
    PipesTempFileMessageReader as PipesTempFileMessageReader,
)
from atoll._execution.pipes.injectors import (
    PipesContextInjector as PipesContextInjector,
    PipesEnvContextInjector as PipesEnvContextInjector,
    PipesFileContextInjector as PipesFileContextInjector,
    PipesTempFileContextInjector as PipesTempFileContextInjector,
)
from atoll._execution.pipes.messages import (
    PipesLaunchedData as PipesLaunchedData,
    PipesMessageHandler as PipesMessageHandler,
    PipesMessageReader as PipesMessageReader,
)
from atoll._execution.pipes.reported import (
    PipesExecutionResult as PipesExecutionResult,
)
from atoll._execution.pipes.session import (
    PipesSession as PipesSession,
    open_pipes_session as open_pipes_session,
)
from atoll._execution.pipes.subprocess_client import (
    PipesSubprocessClient as PipesSubprocessClient,
)
from atoll._execution.pipes.threaded_readers import (
    PipesBlobStoreMessageReader as PipesBlobStoreMessageReader,
    PipesLogReader as PipesLogReader,
    PipesThreadedMessageReader as PipesThreadedMessageReader,
)
from atoll._execution.resource_contexts import (
    build_init_resource_context as build_init_resource_context,
    build_resources as build_resources,
    with_resources as with_resources,
)
from atoll._execution.run_status_contexts import (
    RunFailureSensorContext as RunFailureSensorContext,
    RunStatusSensorContext as RunStatusSensorContext,
    build_run_status_sensor_context as build_run_status_sensor_context,
)
from atoll._execution.schedule_contexts import (
    ScheduleEvaluationContext as ScheduleEvaluationContext,
    build_schedule_context as build_schedule_context,
)
from atoll._execution.sensor_contexts import (
    SensorEvaluationContext as SensorEvaluationContext,
    build_sensor_context as build_sensor_context,
)
from atoll._execution.staleness import (
    StaleCause as StaleCause,
    StaleCauseCategory as StaleCauseCategory,
    StaleStatus as StaleStatus,
    Staleness as Staleness,
    stale_assets_of as stale_assets_of,
)
from atoll._execution.storing import (
    FilesystemIOManager as FilesystemIOManager,
    fs_io_manager as fs_io_manager,
)
from atoll._execution.type_checking import (
    TypeCheckContext as TypeCheckContext,
    TypeLoaderContext as TypeLoaderContext,
    check_type as check_type,
)
from atoll._execution.upath_io_manager import (
    UPathIOManager as UPathIOManager,
)
from atoll._execution.user_loggers import (
    get_logger as get_logger,
)
from atoll._instance.instance import (
    Instance as Instance,
    instance_for_test as instance_for_test,
)
from atoll._instance.partitions import (
    PaginatedResults as PaginatedResults,
)
from atoll._partitions.backfill_policy import (
    BackfillPolicy as BackfillPolicy,
)
from atoll._partitions.calendar_partitions import (
    DailyPartitionsDefinition as DailyPartitionsDefinition,
    HourlyPartitionsDefinition as HourlyPartitionsDefinition,
    MonthlyPartitionsDefinition as MonthlyPartitionsDefinition,
    WeeklyPartitionsDefinition as WeeklyPartitionsDefinition,
)
from atoll._partitions.contexts import (
    partition_loading_context as partition_loading_context,
)
from atoll._partitions.definitions import (
    PartitionsDefinition as PartitionsDefinition,
)
from atoll._partitions.dynamic_partitions import (
    DynamicPartitionsDefinition as DynamicPartitionsDefinition,
)
from atoll._partitions.dynamic_requests import (
    AddDynamicPartitionsRequest as AddDynamicPartitionsRequest,
    DeleteDynamicPartitionsRequest as DeleteDynamicPartitionsRequest,
)
from atoll._partitions.key_mappings import (
    IdentityPartitionMapping as IdentityPartitionMapping,
    StaticPartitionMapping as StaticPartitionMapping,
)
from atoll._partitions.mappings import (
    PartitionMapping as PartitionMapping,
)
from atoll._partitions.multi_mappings import (
    DimensionPartitionMapping as DimensionPartitionMapping,
    MultiPartitionMapping as MultiPartitionMapping,
    MultiToSingleDimensionPartitionMapping as MultiToSingleDimensionPartitionMapping,
)
from atoll._partitions.multi_partitions import (
    MultiPartitionsDefinition as MultiPartitionsDefinition,
)
from atoll._partitions.partition_keys import (
    MultiPartitionKey as MultiPartitionKey,
    Partition as Partition,
    PartitionKeyRange as PartitionKeyRange,
)
from atoll._partitions.static_partitions import (
    StaticPartitionsDefinition as StaticPartitionsDefinition,
)
from atoll._partitions.time_window_mappings import (
    TimeWindowPartitionMapping as TimeWindowPartitionMapping,
)
from atoll._partitions.time_window_partitions import (
    TimeWindowPartitionsDefinition as TimeWindowPartitionsDefinition,
)
from atoll._partitions.whole_mappings import (
    AllPartitionMapping as AllPartitionMapping,
    LastPartitionMapping as LastPartitionMapping,
    SpecificPartitionsPartitionMapping as SpecificPartitionsPartitionMapping,
)
from atoll._partitions.window_sequences import (
    TimeWindow as TimeWindow,
)
from atoll.errors import (
    AssetCheckFailedError as AssetCheckFailedError,
    ConfigMappingFunctionError as ConfigMappingFunctionError,
    Error as Error,
    ExecutionHandleOutputError as ExecutionHandleOutputError,
    ExecutionLoadInputError as ExecutionLoadInputError,
    ExecutionStepExecutionError as ExecutionStepExecutionError,
    ForeignValueError as ForeignValueError,
    InstanceUnavailableError as InstanceUnavailableError,
    InvalidAssetSelectionError as InvalidAssetSelectionError,
    InvalidConfigDefinitionError as InvalidConfigDefinitionError,
    InvalidConfigError as InvalidConfigError,
    InvalidDefinitionError as InvalidDefinitionError,
    InvalidInvocationError as InvalidInvocationError,
    InvalidSubsetError as InvalidSubsetError,
    InvariantViolationError as InvariantViolationError,
    ModuleImportError as ModuleImportError,
    PipesExecutionError as PipesExecutionError,
    ResourceFunctionError as ResourceFunctionError,
    RunNotFoundError as RunNotFoundError,
    StepOutputNotFoundError as StepOutputNotFoundError,
    StoredValueError as StoredValueError,
    TypeCheckDidNotPass as TypeCheckDidNotPass,
    TypeCheckError as TypeCheckError,
    UnknownPartitionError as UnknownPartitionError,
    UnknownResourceError as UnknownResourceError,
    UnmetExecutorRequirementsError as UnmetExecutorRequirementsError,
    UnsupportedParameterError as UnsupportedParameterError,
    UserCodeExecutionError as UserCodeExecutionError,
    ValueNotFoundError as ValueNotFoundError,
)
