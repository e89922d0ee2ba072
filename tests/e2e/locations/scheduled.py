"""A location whose schedules are due every minute."""

import atoll as dg


class Window(dg.Config):
    minute: str


@dg.asset
def orders(context: dg.AssetExecutionContext, config: Window):
    context.add_output_metadata({"minute": config.minute})


@dg.schedule(
    cron_schedule="* * * * *",
    execution_timezone="Europe/Zurich",
    target=[orders],
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def every_minute(context: dg.ScheduleEvaluationContext):
    """Orders of the minute that has just begun."""
    minute = context.scheduled_execution_time.isoformat()
    context.log.info("asked for %s", minute)
    return dg.RunRequest(
        run_key=minute, run_config=dg.RunConfig(ops={"orders": Window(minute=minute)})
    )


@dg.asset
def report():
    return 1


nightly = dg.ScheduleDefinition(
    name="nightly",
    cron_schedule=["30 2 * * *", "0 12 * * 6"],
    execution_timezone="Europe/Zurich",
    target=[report],
    skipped_times="skip",
    repeated_times="both",
    max_catchup_runs=1,
    owners=["team:data"],
    tags={"team": "data"},
)

defs = dg.Definitions(assets=[orders, report], schedules=[every_minute, nightly])
