"""The location that answers each materialization of the other, and each minute, with one run."""

import hashlib

import atoll as dg


@dg.asset(deps=[dg.AssetKey("numbers")], pool="storm")
def answer(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    digest = b"answer"
    for turn in range(20):
        digest = hashlib.pbkdf2_hmac("sha256", digest, b"salt", 20_000)
        context.log.info("answering, turn %s", turn)
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


defs = dg.Definitions(
    assets=[dg.AssetSpec("numbers"), answer],
    jobs=[answer_job],
    sensors=[on_numbers],
    schedules=[every_minute],
)
