"""``atoll freshness``: how old assets may become, and whether they are older."""

import re
from typing import Final

import click
from google.protobuf import duration_pb2

from atoll._cli import connection, rendering
from atoll.api.v1 import freshness_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import policies_pb2, values_pb2
from atoll.events.v1 import events_pb2

FEATURE: Final = "freshness"

_COLUMNS = (
    rendering.Column("ASSET", shrinks=True, names=True, colour="bold"),
    rendering.Column("STATE", is_status=True),
    rendering.Column("SINCE"),
    rendering.Column("MATERIALIZED"),
    rendering.Column("CHANGES AT"),
    rendering.Column("POLICY", shrinks=True),
    rendering.Column("BY"),
)
_STATES: Final = {
    "pass": events_pb2.FRESHNESS_STATE_PASS,
    "warn": events_pb2.FRESHNESS_STATE_WARN,
    "fail": events_pb2.FRESHNESS_STATE_FAIL,
    "unknown": events_pb2.FRESHNESS_STATE_UNKNOWN,
}


@click.group()
def freshness() -> None:
    """Show how fresh assets are. Keys are written a/b/c."""


@freshness.command("list")
@click.option("--location", default="", help="Only assets whose policy this location gives.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(list(_STATES)),
    help="Only assets in this state; may be repeated.",
)
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(
    location: str, states: tuple[str, ...], limit: int | None, host: str, *, as_json: bool
) -> None:
    """List the assets that have a freshness policy."""

    async def work(client: client_connection.Client) -> None:
        wanted = [_STATES[state] for state in states]
        found = [
            asset
            async for asset in client.freshness.list(
                location_name=location, states=wanted, limit=limit
            )
        ]
        if as_json:
            click.echo(documents.listing("assets", found))
        elif not found:
            click.echo("No asset" + (" like that" if location or states else "") + " has a policy.")
        else:
            rows = [_row(asset) for asset in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@freshness.command()
@click.argument("key", type=connection.asset_key, metavar="KEY")
@connection.host_option
@connection.json_option
def show(key: values_pb2.AssetKey, host: str, *, as_json: bool) -> None:
    """Show how fresh one asset is."""

    async def work(client: client_connection.Client) -> None:
        asset = await client.freshness.get(key)
        click.echo(documents.single(asset) if as_json else _details(asset))

    connection.run(host, work)


def policy(message: policies_pb2.FreshnessPolicy) -> str:
    """Return a policy in words."""
    if message.HasField("cron"):
        cron = message.cron
        before = _length(cron.lower_bound_delta)
        return f"by {cron.deadline_cron} {cron.timezone}, at most {before} before"
    if not message.HasField("time_window"):
        return "of a kind that this release does not know"
    window = message.time_window
    fails = _length(window.fail_window)
    if not window.HasField("warn_window"):
        return f"fails after {fails}"
    warns = _length(window.warn_window)
    return f"warns after {warns}, fails after {fails}"


def summary(asset: freshness_pb2.AssetFreshness) -> str:
    """Return how fresh an asset is on one line; empty where it has no policy."""
    if not asset.HasField("policy"):
        return ""
    status = connection.terminal().status(documents.enum_name(asset, "state"))
    return f"{status} ({policy(asset.policy)})"


def _length(duration: duration_pb2.Duration) -> str:
    text = rendering.duration(documents.seconds(duration))
    return re.sub(r" 00? \w+$", "", text)


def _row(asset: freshness_pb2.AssetFreshness) -> list[str]:
    return [
        documents.format_asset_key(asset.asset_key),
        documents.enum_name(asset, "state"),
        rendering.moment(documents.moment(asset, "change_time")),
        rendering.moment(documents.moment(asset, "latest_materialization_time")),
        rendering.moment(documents.moment(asset, "next_change_time")),
        policy(asset.policy),
        asset.location_name,
    ]


def _details(asset: freshness_pb2.AssetFreshness) -> str:
    terminal = connection.terminal()

    def exact(name: str) -> str:
        moment = documents.moment(asset, name)
        return "" if moment is None else rendering.moment_exact(moment)

    pairs = [
        ("asset", documents.format_asset_key(asset.asset_key)),
        ("state", terminal.status(documents.enum_name(asset, "state"))),
        ("since", exact("change_time")),
        ("policy", policy(asset.policy) if asset.HasField("policy") else "none"),
        ("given by", asset.location_name),
        ("materialized", exact("latest_materialization_time")),
        ("changes at", exact("next_change_time")),
        ("event", str(asset.event_id) if asset.event_id else ""),
    ]
    return rendering.fields(pairs, terminal)
