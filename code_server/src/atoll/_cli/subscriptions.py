"""``atoll subscriptions``: events that the host sends to other services."""

import datetime as dt
from typing import Any

import click

from atoll._cli import connection, moments, rendering
from atoll.api.v1 import alerts_pb2, events_pb2, subscriptions_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.client import subscriptions as client_subscriptions

_COLUMNS = (
    rendering.Column("SUBSCRIPTION", names=True, colour="bold"),
    rendering.Column("STATE", is_status=True),
    rendering.Column("URL", shrinks=True),
    rendering.Column("WAITING", align="right"),
    rendering.Column("DEAD", align="right"),
    rendering.Column("ARRIVED"),
    rendering.Column("ERROR", shrinks=True),
)
_DELIVERIES = (
    rendering.Column("TIME"),
    rendering.Column("DELIVERY", names=True),
    rendering.Column("EVENTS"),
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
_PAUSES = {
    subscriptions_pb2.SUBSCRIPTION_PAUSE_REQUESTED: "somebody paused it",
    subscriptions_pb2.SUBSCRIPTION_PAUSE_GONE: "the receiver says that it is gone",
    subscriptions_pb2.SUBSCRIPTION_PAUSE_FAILING: "it failed for too long",
    subscriptions_pb2.SUBSCRIPTION_PAUSE_DEAD_LETTERS: "too many deliveries were given up",
}


@click.group()
def subscriptions() -> None:
    """Make, show and steer subscriptions to events."""


@subscriptions.command("list")
@connection.limit_option(100)
@connection.host_option
@connection.json_option
def list_(limit: int, host: str, *, as_json: bool) -> None:
    """List subscriptions, by name."""

    async def work(client: client_connection.Client) -> None:
        found = [one async for one in client.subscriptions.list(limit=limit)]
        if as_json:
            click.echo(documents.listing("subscriptions", found))
        elif not found:
            click.echo("There are no subscriptions.")
        else:
            rows = [_row(one) for one in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@click.argument("url")
@click.option("--kind", "kinds", multiple=True, help="Only events of this kind; may be repeated.")
@click.option("--location", default="", help="Only events of this location.")
@click.option("--asset", type=connection.asset_key, help="Only events of this asset.")
@click.option("--run", "run_id", default="", help="Only events of this run.")
@click.option("--job", "jobs", multiple=True, help="Only events of this job; may be repeated.")
@click.option(
    "--from",
    "start",
    metavar="latest|earliest|ID|TIME",
    default="latest",
    show_default=True,
    help="Begin with the next event, the oldest, the first after an id, or since a time.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 500),
    default=1,
    show_default=True,
    help="How many events one request may hold.",
)
@click.option("--unordered", is_flag=True, help="Send several requests at once, in any order.")
@connection.host_option
@connection.json_option
def create(name: str, url: str, host: str, *, as_json: bool, **given: Any) -> None:
    """Send events to URL under NAME, and print the secret that they are signed with, once."""
    new = client_subscriptions.NewSubscription(
        name=name,
        url=url,
        filter=events_pb2.EventFilter(
            run_id=given["run_id"],
            location_name=given["location"],
            asset_key=given["asset"],
            kinds=given["kinds"],
        ),
        job_names=given["jobs"],
        start=_start(given["start"]),
        batch_events_max=given["batch"],
        ordered=not given["unordered"],
    )

    async def work(client: client_connection.Client) -> None:
        answer = await client.subscriptions.create(new)
        if as_json:
            click.echo(documents.single(answer))
            return
        click.echo(f"{name} begins after event {answer.subscription.position}.")
        _show_secret(answer.secret)

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def show(name: str, host: str, *, as_json: bool) -> None:
    """Show what NAME sends where, and how it fares."""

    async def work(client: client_connection.Client) -> None:
        found = await client.subscriptions.get(name)
        if as_json:
            click.echo(documents.single(found))
            return
        for title, text in _facts(found):
            click.echo(f"{title + ':':<12} {text}")

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def pause(name: str, host: str, *, as_json: bool) -> None:
    """Send nothing of NAME any more until it is resumed."""

    async def work(client: client_connection.Client) -> None:
        found = await client.subscriptions.pause(name)
        click.echo(documents.single(found) if as_json else f"{name} is paused.")

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def resume(name: str, host: str, *, as_json: bool) -> None:
    """Go on with NAME where it was paused."""

    async def work(client: client_connection.Client) -> None:
        found = await client.subscriptions.resume(name)
        told = (
            f"{name} goes on after event {found.position}; {found.waiting_count} deliveries wait."
        )
        click.echo(documents.single(found) if as_json else told)

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def delete(name: str, host: str, *, as_json: bool) -> None:
    """Forget NAME and its deliveries."""

    async def work(client: client_connection.Client) -> None:
        await client.subscriptions.delete(name)
        click.echo("{}" if as_json else f"{name} is deleted.")

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@connection.host_option
@connection.json_option
def test(name: str, host: str, *, as_json: bool) -> None:
    """Send a request of NAME that no event caused, and tell how that went."""

    async def work(client: client_connection.Client) -> int:
        tried = await client.subscriptions.test(name)
        arrived = tried.status == alerts_pb2.DELIVERY_STATUS_DELIVERED
        if as_json:
            click.echo(documents.single(tried))
        elif arrived:
            click.echo(f"It arrived: status {tried.http_status} after {tried.duration_ms} ms.")
        else:
            click.echo(f"It did not arrive: {tried.error}.")
        return 0 if arrived else connection.EXIT_FAILED

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
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
def deliveries(
    name: str, statuses: tuple[str, ...], limit: int, host: str, *, as_json: bool
) -> None:
    """List deliveries of NAME, newest first."""

    async def work(client: client_connection.Client) -> None:
        wanted = [_STATUSES[status] for status in statuses]
        listed = client.subscriptions.deliveries(name, statuses=wanted, limit=limit)
        found = [each async for each in listed]
        if as_json:
            click.echo(documents.listing("deliveries", found))
        elif not found:
            click.echo("There are no deliveries" + (" like that." if statuses else " yet."))
        else:
            rows = [_delivery_row(each) for each in found]
            click.echo(rendering.table(_DELIVERIES, rows, connection.terminal()))

    connection.run(host, work)


@subscriptions.command()
@click.argument("name")
@click.argument("delivery_id")
@connection.host_option
@connection.json_option
def redeliver(name: str, delivery_id: str, host: str, *, as_json: bool) -> None:
    """Send the delivery DELIVERY_ID of NAME once more."""

    async def work(client: client_connection.Client) -> None:
        found = await client.subscriptions.redeliver(name, delivery_id)
        click.echo(documents.single(found) if as_json else f"{delivery_id} is sent again.")

    connection.run(host, work)


@subscriptions.command("rotate-secret")
@click.argument("name")
@click.option("--revoke-old", is_flag=True, help="End the secret before at once.")
@connection.host_option
@connection.json_option
def rotate_secret(name: str, host: str, *, revoke_old: bool, as_json: bool) -> None:
    """Make a new secret for NAME and print it, once; the one before signs along for a while."""

    async def work(client: client_connection.Client) -> None:
        answer = await client.subscriptions.rotate_secret(name, revoke_old=revoke_old)
        if as_json:
            click.echo(documents.single(answer))
            return
        _show_secret(answer.secret)
        until = documents.moment(answer, "old_until_time")
        if until is not None:
            click.echo(f"The secret before signs along until {rendering.moment(until)}.")

    connection.run(host, work)


def _show_secret(secret: str) -> None:
    if secret:
        click.echo("The secret is told this once; give it to the receiver:")
        click.echo(secret)
    else:
        click.echo("Its secret was told before. Make another: atoll subscriptions rotate-secret")


def _start(text: str) -> str | int | dt.datetime | None:
    if text == "latest":
        return None
    if text == "earliest" or text.isdecimal():
        return int(text) if text.isdecimal() else text
    try:
        return moments.parse(text)
    except click.BadParameter:
        raise click.BadParameter(
            f"{text!r} is neither latest, earliest, the id of an event nor a time such as "
            "2026-01-31T12:00:00Z.",
            param_hint="--from",
        ) from None


def _row(one: subscriptions_pb2.Subscription) -> list[str]:
    return [
        one.name,
        documents.enum_name(one, "state"),
        one.url,
        str(one.waiting_count),
        str(one.dead_count),
        rendering.moment(documents.moment(one, "delivered_time")),
        one.error or rendering.NOTHING,
    ]


def _facts(one: subscriptions_pb2.Subscription) -> list[tuple[str, str]]:
    state = documents.enum_name(one, "state").lower()
    chosen = [
        *(("kind " + kind) for kind in one.filter.kinds),
        *([f"location {one.filter.location_name}"] if one.filter.location_name else []),
        *([f"run {one.filter.run_id}"] if one.filter.run_id else []),
        *(f"job {job}" for job in one.job_names),
    ]
    if one.filter.HasField("asset_key"):
        chosen.append(f"asset {documents.format_asset_key(one.filter.asset_key)}")
    facts = [
        ("state", f"{state}, {_PAUSES[one.pause]}" if one.pause in _PAUSES else state),
        ("url", one.url),
        ("events", ", ".join(chosen) or "all"),
        ("in order", "yes" if one.ordered else "no"),
        ("batch", str(one.batch_events_max)),
        ("position", f"after event {one.position}"),
        ("waiting", str(one.waiting_count)),
        ("given up", str(one.dead_count)),
        ("arrived", rendering.moment(documents.moment(one, "delivered_time"))),
    ]
    if one.narrowed:
        facts.append(("only of", ", ".join(one.location_names) or "no location"))
    if one.error:
        since = rendering.moment(documents.moment(one, "failing_since_time"))
        facts.append(("error", f"{one.error} (fails since {since})"))
    if one.missed_through_id:
        facts.append(("missed", f"events up to {one.missed_through_id} were gone from the log"))
    return facts


def _delivery_row(each: subscriptions_pb2.SubscriptionDelivery) -> list[str]:
    first, last = each.first_event_id, each.last_event_id
    return [
        rendering.moment(documents.moment(each, "create_time")),
        each.delivery_id,
        str(first) if first == last else f"{first}-{last}",
        documents.enum_name(each, "status"),
        str(each.attempts),
        rendering.moment(documents.moment(each, "next_attempt_time")),
        each.error or rendering.NOTHING,
    ]
