"""The location that answers what the other one does, and each minute.

By a sensor, by a schedule, by a condition, and by sensors on its runs.
"""

import datetime as dt
import hashlib

import atoll as dg

days = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-01-21")
ALL_DAYS = dt.timedelta(days=1000)


@dg.asset(deps=[dg.AssetKey("numbers")], pool="storm")
def answer(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    digest = b"answer"
    for turn in range(20):
        digest = hashlib.pbkdf2_hmac("sha256", digest, b"salt", 20_000)
        context.log.info("answering, turn %s", turn)
    return dg.MaterializeResult()


@dg.asset(deps=[dg.AssetKey("readings")], partitions_def=days, pool="storm")
def reports() -> dg.MaterializeResult:
    """What backfills make last."""
    return dg.MaterializeResult()


@dg.asset(
    deps=[dg.AssetKey("readings")],
    partitions_def=days,
    pool="storm",
    automation_condition=dg.AutomationCondition.eager().replace(
        "in_latest_time_window", dg.AutomationCondition.in_latest_time_window(ALL_DAYS)
    ),
)
def echoes() -> dg.MaterializeResult:
    """What the condition asks for, whenever a day of the other location was made."""
    return dg.MaterializeResult()


answer_job = dg.define_asset_job("answer_job", selection=[answer])


@dg.asset_sensor(
    asset_key=dg.AssetKey("numbers"),
    job=answer_job,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def on_numbers(context: dg.SensorEvaluationContext, asset_event: dg.EventLogEntry):
    return dg.RunRequest(run_key=asset_event.run_id)


@dg.schedule(
    cron_schedule="* * * * *",
    job=answer_job,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    max_catchup_runs=1,
)
def every_minute(context: dg.ScheduleEvaluationContext):
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


@dg.run_status_sensor(
    dg.RunStatus.SUCCESS,
    monitored_jobs=[dg.CodeLocationSelector("source")],
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def on_success(context: dg.RunStatusSensorContext):
    return dg.SkipReason(context.run.run_id)


@dg.run_failure_sensor(
    monitored_jobs=[dg.CodeLocationSelector("source")],
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def on_failure(context: dg.RunFailureSensorContext):
    return dg.SkipReason(context.run.run_id)


on_readings = dg.AutomationConditionSensorDefinition(
    "on_readings",
    target=[echoes],
    default_status=dg.DefaultSensorStatus.RUNNING,
)

defs = dg.Definitions(
    assets=[
        dg.AssetSpec("numbers"),
        dg.AssetSpec("readings", partitions_def=days),
        answer,
        reports,
        echoes,
    ],
    jobs=[answer_job],
    sensors=[on_numbers, on_success, on_failure, on_readings],
    schedules=[every_minute],
)
