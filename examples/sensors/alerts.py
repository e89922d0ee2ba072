"""Tells somebody of every run that fails, in whichever location."""

import os
import pathlib

import atoll as dg


class Messages(dg.ConfigurableResource):
    """Sends messages; here into a file, elsewhere by mail or into a chat."""

    path: str = os.environ.get("ALERTS_FILE", "alerts.txt")

    def send(self, text: str) -> None:
        """Send one."""
        with pathlib.Path(self.path).open("a") as file:
            file.write(text + "\n")


@dg.run_failure_sensor(
    monitor_all_code_locations=True, default_status=dg.DefaultSensorStatus.RUNNING
)
def tell_of_failures(context: dg.RunFailureSensorContext, messages: Messages):
    """Send a message for each run that fails. If it cannot be sent, it is tried again."""
    run = context.run
    steps = ", ".join(event.step_key or "" for event in context.get_step_failure_events())
    messages.send(f"{run.location_name}/{run.job_name} failed at {steps or 'its start'}")
    return dg.SkipReason(f"told of run {run.run_id}")


defs = dg.Definitions(sensors=[tell_of_failures], resources={"messages": Messages()})
