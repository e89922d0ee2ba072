"""``atoll alerts``: what the host's rules for alerts found, and who was told."""

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import alerts_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

_RULES = (
    rendering.Column("RULE", names=True, colour="bold"),
    rendering.Column("ON"),
    rendering.Column("TELLS", shrinks=True),
)
_ALERTS = (
    rendering.Column("TIME"),
    rendering.Column("RULE", colour="bold"),
    rendering.Column("TITLE", shrinks=True, names=True),
    rendering.Column("MORE", align="right"),
    rendering.Column("TOLD", shrinks=True),
)
_DELIVERIES = (
    rendering.Column("TIME"),
    rendering.Column("RULE", colour="bold"),
    rendering.Column("TARGET", shrinks=True),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("TRIES", align="right"),
    rendering.Column("NEXT"),
    rendering.Column("ERROR", shrinks=True),
)
_STATUSES = {
    "waiting": alerts_pb2.DELIVERY_STATUS_WAITING,
    "delivered": alerts_pb2.DELIVERY_STATUS_DELIVERED,
    "dead": alerts_pb2.DELIVERY_STATUS_DEAD,
}


@click.group()
def alerts() -> None:
    """Show alerts and their deliveries, and try rules."""


@alerts.command()
@connection.host_option
@connection.json_option
def rules(host: str, *, as_json: bool) -> None:
    """List the rules of the host."""

    async def work(client: client_connection.Client) -> None:
        found = [rule async for rule in client.alerts.rules()]
        if as_json:
            click.echo(documents.listing("rules", found))
        elif not found:
            click.echo("The host has no rules for alerts.")
        else:
            rows = [[rule.name, rule.trigger, ", ".join(rule.targets)] for rule in found]
            click.echo(rendering.table(_RULES, rows, connection.terminal()))

    connection.run(host, work)


@alerts.command("list")
@click.option("--rule", default="", help="Only alerts of this rule.")
@connection.limit_option(25)
@connection.host_option
@connection.json_option
def list_(rule: str, limit: int, host: str, *, as_json: bool) -> None:
    """List alerts, newest first."""

    async def work(client: client_connection.Client) -> None:
        found = [alert async for alert in client.alerts.list(rule=rule, limit=limit)]
        if as_json:
            click.echo(documents.listing("alerts", found))
        elif not found:
            click.echo("There are no alerts" + (f" of {rule}." if rule else " yet."))
        else:
            rows = [_alert_row(alert) for alert in found]
            click.echo(rendering.table(_ALERTS, rows, connection.terminal()))

    connection.run(host, work)


@alerts.command()
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(sorted(_STATUSES)),
    help="Only deliveries in this state; may be repeated.",
)
@connection.limit_option(25)
@connection.host_option
@connection.json_option
def deliveries(statuses: tuple[str, ...], limit: int, host: str, *, as_json: bool) -> None:
    """List deliveries of alerts, newest first."""

    async def work(client: client_connection.Client) -> None:
        wanted = [_STATUSES[status] for status in statuses]
        found = [each async for each in client.alerts.deliveries(statuses=wanted, limit=limit)]
        if as_json:
            click.echo(documents.listing("deliveries", found))
        elif not found:
            click.echo("There are no deliveries" + (" like that." if statuses else " yet."))
        else:
            _show(found)

    connection.run(host, work)


@alerts.command()
@click.argument("rule")
@connection.host_option
@connection.json_option
def test(rule: str, host: str, *, as_json: bool) -> None:
    """Send an alert of a rule that nothing caused, and tell how that went."""

    async def work(client: client_connection.Client) -> int:
        found = list(await client.alerts.test(rule))
        if as_json:
            click.echo(documents.listing("deliveries", found))
        else:
            _show(found)
        arrived = (each.status == alerts_pb2.DELIVERY_STATUS_DELIVERED for each in found)
        return 0 if all(arrived) else connection.EXIT_FAILED

    connection.run(host, work)


def _show(found: list[alerts_pb2.AlertDelivery]) -> None:
    rows = [
        [
            rendering.moment(documents.moment(each, "create_time")),
            each.rule,
            each.target,
            documents.enum_name(each, "status"),
            str(each.attempts),
            rendering.moment(documents.moment(each, "next_attempt_time")),
            each.error or rendering.NOTHING,
        ]
        for each in found
    ]
    click.echo(rendering.table(_DELIVERIES, rows, connection.terminal()))


def _alert_row(alert: alerts_pb2.Alert) -> list[str]:
    told = (
        f"{each.target} {documents.enum_name(each, 'status').lower()}" for each in alert.deliveries
    )
    return [
        rendering.moment(documents.moment(alert, "create_time")),
        alert.rule,
        alert.title,
        str(alert.suppressed_count) if alert.suppressed_count else rendering.NOTHING,
        ", ".join(told),
    ]
