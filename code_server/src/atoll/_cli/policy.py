"""``atoll policy``: who may watch, depend on, launch and read what of other locations."""

from typing import Any

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import policy_pb2
from atoll.client import connection as client_connection
from atoll.client import documents
from atoll.definitions.v1 import policies_pb2, values_pb2

_COLUMNS = (
    rendering.Column("DECLARED BY", colour="bold"),
    rendering.Column("RULE"),
    rendering.Column("FROM", shrinks=True),
    rendering.Column("TO", shrinks=True),
    rendering.Column("WHAT", shrinks=True),
    rendering.Column("OF", shrinks=True),
    rendering.Column("REASON", shrinks=True),
)
_DENIALS = (
    rendering.Column("LOCATION", colour="bold"),
    rendering.Column("DEFINITION", shrinks=True),
    rendering.Column("MAY NOT"),
    rendering.Column("WHAT", shrinks=True),
    rendering.Column("OF"),
    rendering.Column("SAYS"),
)
ACTIONS = {
    "watch": policies_pb2.POLICY_ACTION_WATCH,
    "depend": policies_pb2.POLICY_ACTION_DEPEND,
    "launch": policies_pb2.POLICY_ACTION_LAUNCH,
    "read": policies_pb2.POLICY_ACTION_READ,
}
_WORDS = {number: word for word, number in ACTIONS.items()}
_HOST = "the host"


@click.group()
def policy() -> None:
    """Show who may watch, depend on, launch and read what of other locations."""


@policy.command("list")
@click.option("--location", default="", help="Only the rules of the host and of this location.")
@click.option("--denied", is_flag=True, help="What definitions may not do, instead of the rules.")
@connection.limit_option(1000)
@connection.host_option
@connection.json_option
def list_(*, location: str, denied: bool, limit: int, host: str, as_json: bool) -> None:
    """List the rules in the order in which they are looked at; on each side the first decides."""

    async def rules(client: client_connection.Client) -> None:
        found = [one async for one in client.policy.rules(location, limit=limit)]
        if as_json:
            click.echo(documents.listing("rules", found))
        else:
            rows = [_row(one) for one in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    async def denials(client: client_connection.Client) -> None:
        found = [one async for one in client.policy.denials(location, limit=limit)]
        if as_json:
            click.echo(documents.listing("denials", found))
        elif not found:
            click.echo("Nothing that definitions say is denied.")
        else:
            rows = [_denial_row(one) for one in found]
            click.echo(rendering.table(_DENIALS, rows, connection.terminal()))

    connection.run(host, denials if denied else rules)


@policy.command()
@click.argument("from_location", metavar="FROM")
@click.argument("what", type=click.Choice(list(ACTIONS)))
@click.argument("to_location", metavar="[TO]", required=False, default="")
@click.option("--asset", type=connection.asset_key, help="The asset; TO may then be left out.")
@click.option("--job", default="", help="The job.")
@connection.host_option
@connection.json_option
def check(*, from_location: str, what: str, host: str, as_json: bool, **thing: Any) -> None:
    """Tell whether location FROM may watch, depend on, launch or read a thing of location TO.

    Exit code 0: it may; 1: it may not.
    """
    asset: values_pb2.AssetKey | None = thing["asset"]
    job: str = thing["job"]
    if asset is not None and job:
        raise click.UsageError("Give --asset or --job, not both.")

    async def work(client: client_connection.Client) -> int:
        answer = await client.policy.check(
            from_location, thing["to_location"], ACTIONS[what], asset_key=asset, job_name=job
        )
        if as_json:
            click.echo(documents.single(answer))
        else:
            click.echo(rendering.printable(answer.explanation))
        return 0 if answer.allowed else connection.EXIT_FAILED

    connection.run(host, work)


def _row(one: policy_pb2.DeclaredPolicyRule) -> list[str]:
    rule = one.rule
    about = [*rule.assets, *(f"job {job}" for job in rule.jobs)]
    actions = [_WORDS[each] for each in rule.actions if each in _WORDS]
    return [
        one.declared_by or _HOST,
        ("allow" if rule.allow else "deny") + (" by default" if one.is_default else ""),
        ", ".join(rule.from_locations),
        ", ".join(rule.to_locations),
        ", ".join(actions) if len(actions) < len(ACTIONS) else "everything",
        ", ".join(about) or "everything",
        rule.reason,
    ]


def _denial_row(one: policy_pb2.LocationPolicyDenial) -> list[str]:
    denial = one.denial
    what = f"job {denial.job_name}" if denial.job_name else "its runs"
    if denial.HasField("asset_key"):
        what = documents.format_asset_key(denial.asset_key)
    return [
        one.location_name,
        f"{denial.definition_kind} {denial.definition_name}",
        _WORDS.get(denial.action, ""),
        what,
        denial.to_location,
        denial.declared_by or _HOST,
    ]
