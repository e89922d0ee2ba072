"""``atoll conditions``: what the host executes by itself, and why or why not."""

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import conditions_pb2
from atoll.client import connection as client_connection
from atoll.client import documents, errors
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll.definitions.v1 import values_pb2

RANGES_SHOWN: Final = 3

Command = TypeVar("Command", bound=Callable[..., Any])

_COLUMNS = (
    rendering.Column("TARGET", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION"),
    rendering.Column("CONDITION", shrinks=True),
    rendering.Column("SENSOR", shrinks=True),
    rendering.Column("STATUS", is_status=True),
    rendering.Column("EVALUATED"),
    rendering.Column("NEWEST", shrinks=True),
)
_EVALUATION_COLUMNS = (
    rendering.Column("EVALUATION", align="right"),
    rendering.Column("TIME"),
    rendering.Column("REQUESTED", shrinks=True),
    rendering.Column("RUNS", shrinks=True),
    rendering.Column("WAITS", shrinks=True),
)


def target_options(command: Command) -> Command:
    """Give a command the argument and the options that name an asset, a check or a job."""
    for decorate in (
        click.option("--location", default="", help="The location of the job."),
        click.option("--job", "is_job", is_flag=True, help="NAME is a job, not an asset."),
        click.option("--check", default="", metavar="NAME", help="This check of the asset."),
        click.argument("name", metavar="NAME"),
    ):
        command = decorate(command)
    return command


@click.group()
def conditions() -> None:
    """Show automation conditions and what they came to. Keys of assets are written a/b/c."""


@conditions.command("list")
@click.option("--location", default="", help="Only those of this location.")
@click.option("--sensor", default="", help="Only those that this sensor evaluates.")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(location: str, sensor: str, limit: int | None, host: str, *, as_json: bool) -> None:
    """List the assets, checks and jobs that have a condition."""

    async def work(client: client_connection.Client) -> None:
        listed = client.conditions.list(location_name=location, sensor_name=sensor, limit=limit)
        found = [target async for target in listed]
        if as_json:
            click.echo(documents.listing("targets", found))
        elif not found:
            click.echo("Nothing has an automation condition" + (" there." if location else "."))
        else:
            rows = [_row(target) for target in found]
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@conditions.command()
@target_options
@connection.host_option
@connection.json_option
def show(*, name: str, check: str, is_job: bool, location: str, host: str, as_json: bool) -> None:
    """Show one asset, check or job with its condition."""

    async def work(client: client_connection.Client) -> None:
        entity = await _entity(client, name, check, location, is_job=is_job)
        target = await client.conditions.get(entity)
        if as_json:
            click.echo(documents.single(target))
        else:
            click.echo(rendering.fields(_fields(target), connection.terminal()))

    connection.run(host, work)


@conditions.command()
@target_options
@click.option("--requested", is_flag=True, help="Only those that requested something.")
@connection.limit_option(25)
@connection.host_option
@connection.json_option
def evaluations(  # noqa: PLR0913 - one parameter for each option
    *,
    name: str,
    check: str,
    is_job: bool,
    location: str,
    requested: bool,
    limit: int,
    host: str,
    as_json: bool,
) -> None:
    """List the evaluations that said something new, newest first."""

    async def work(client: client_connection.Client) -> None:
        entity = await _entity(client, name, check, location, is_job=is_job)
        listed = client.conditions.evaluations(entity, requested_only=requested, limit=limit)
        found = [evaluation async for evaluation in listed]
        if as_json:
            click.echo(documents.listing("evaluations", found))
        elif not found:
            click.echo(f"There are no evaluations of {_named(entity)} yet.")
        else:
            rows = [_evaluation_row(evaluation) for evaluation in found]
            click.echo(rendering.table(_EVALUATION_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@conditions.command()
@target_options
@click.option(
    "--evaluation",
    type=click.IntRange(min=1),
    help="The number of an evaluation; without it, the newest.",
)
@connection.host_option
@connection.json_option
def explain(  # noqa: PLR0913 - one parameter for each option
    *,
    name: str,
    check: str,
    is_job: bool,
    location: str,
    evaluation: int | None,
    host: str,
    as_json: bool,
) -> None:
    """Tell why something was requested or not: what each part of its condition came to."""

    async def work(client: client_connection.Client) -> None:
        entity = await _entity(client, name, check, location, is_job=is_job)
        found = await client.conditions.evaluation(entity, evaluation or 0)
        if as_json:
            click.echo(documents.single(found))
        else:
            click.echo(explained(found, connection.terminal()))

    connection.run(host, work)


def explained(evaluation: conditions_pb2.ConditionEvaluation, terminal: rendering.Terminal) -> str:
    """Return an evaluation with its explanation as people read it.

    Args:
        evaluation: The evaluation.
        terminal: What is known of the terminal.
    """
    runs = [connection.run_id(run_id, terminal) for run_id in evaluation.run_ids]
    head = rendering.fields(
        [
            ("target", _named(evaluation.entity)),
            ("evaluation", str(evaluation.evaluation_id)),
            ("time", rendering.moment_exact(documents.moment(evaluation, "evaluation_time"))),
            ("requested", _told(evaluation.requested) or "nothing"),
            ("runs", ", ".join(runs)),
            ("waits", _told(evaluation.held)),
            ("dropped", _told(evaluation.dropped)),
        ],
        terminal,
    )
    lines = list(_lines(evaluation.explanation, 0, terminal))
    return "\n".join([head, "", *lines])


def _lines(
    node: conditions_pb2.ConditionNode, depth: int, terminal: rendering.Terminal
) -> Iterator[str]:
    """Yield the lines of a tree: what it came to first, so that it stands in one column."""
    is_true = node.true_for.count > 0
    verdict = terminal.paint("yes" if is_true else "no ", "green" if is_true else "dim")
    name = node.label or node.name
    whose = f"{_named(node.entity)}: " if node.HasField("entity") and depth else ""
    told = f" ({_counted(node)})" if node.candidates.partitioned else ""
    marks = [
        f"{word} {rendering.clock_time(documents.moment(mark, 'time'))}"
        for word, mark, known in (
            ("since", node.trigger, node.HasField("trigger")),
            ("reset", node.reset, node.HasField("reset")),
        )
        if known
    ]
    since = f" [{', '.join(marks)}]" if marks else ""
    yield f"{verdict} {'  ' * depth}{whose}{name}{told}{since}"
    for child in node.children:
        yield from _lines(child, depth + 1, terminal)
    if node.left_out_count:
        yield f"    {'  ' * (depth + 1)}and {node.left_out_count} more"


def _counted(node: conditions_pb2.ConditionNode) -> str:
    count = f"{node.true_for.count} of {node.candidates.count}"
    return f"{count}: {_ranges(node.true_for)}" if node.true_for.count else count


def _ranges(partitions: conditions_pb2.ConditionPartitions) -> str:
    shown = [
        each.start if each.start == each.end else f"{each.start}...{each.end}"
        for each in partitions.ranges[:RANGES_SHOWN]
    ]
    more = partitions.more or len(partitions.ranges) > RANGES_SHOWN
    return ", ".join([*shown, *(["..."] if more else [])])


def _told(partitions: conditions_pb2.ConditionPartitions) -> str:
    """Return a set of partitions in words; nothing for an empty one."""
    if not partitions.count:
        return ""
    if not partitions.partitioned:
        return "yes"
    return f"{rendering.count(partitions.count, 'partition')}: {_ranges(partitions)}"


def _row(target: conditions_pb2.ConditionTarget) -> list[str]:
    return [
        _named(target.entity),
        target.location_name,
        _condition_name(target.condition),
        target.sensor_name or rendering.NOTHING,
        documents.enum_name(target, "sensor_status") if target.sensor_name else rendering.NOTHING,
        rendering.moment(documents.moment(target, "evaluation_time")),
        _newest(target),
    ]


def _newest(target: conditions_pb2.ConditionTarget) -> str:
    if target.problems:
        return target.problems[0]
    if target.HasField("failure"):
        return documents.failure_line(target.failure)
    if target.HasField("held"):
        return "waits for " + ", ".join(_named(wait.entity) for wait in target.held.waits)
    if not target.HasField("latest_evaluation"):
        return rendering.NOTHING
    told = _told(target.latest_evaluation.requested)
    return f"requested {told}" if told not in {"", "yes"} else "requested" if told else "not now"


def _fields(target: conditions_pb2.ConditionTarget) -> list[tuple[str, str]]:
    latest = target.latest_evaluation
    held = ", ".join(_named(wait.entity) for wait in target.held.waits)
    return [
        ("target", _named(target.entity)),
        ("location", target.location_name),
        ("condition", _condition_name(target.condition)),
        ("sensor", target.sensor_name or "none: nothing evaluates it"),
        ("status", documents.enum_name(target, "sensor_status") if target.sensor_name else ""),
        ("evaluated", rendering.moment_exact(documents.moment(target, "evaluation_time"))),
        ("newest", _newest(target)),
        ("runs", ", ".join(latest.run_ids)),
        ("waits for", held),
        ("problems", "\n".join(target.problems)),
        ("failures", str(target.failure_count) if target.failure_count else ""),
        ("failure", documents.failure_text(target.failure) if target.HasField("failure") else ""),
    ]


def _condition_name(condition: definition_pb2.AutomationCondition) -> str:
    if condition.label:
        return condition.label
    kind = condition.WhichOneof("node")
    if kind == "custom":
        return condition.custom.name
    if kind == "simple":
        return documents.enum_name(condition.simple, "kind").lower()
    return (kind or "unknown").replace("_", " ")


def _evaluation_row(evaluation: conditions_pb2.ConditionEvaluation) -> list[str]:
    terminal = connection.terminal()
    runs = [connection.run_id(run_id, terminal) for run_id in evaluation.run_ids]
    dropped = _told(evaluation.dropped)
    return [
        str(evaluation.evaluation_id),
        rendering.moment(documents.moment(evaluation, "evaluation_time")),
        _told(evaluation.requested) or rendering.NOTHING,
        ", ".join(runs) or rendering.NOTHING,
        _told(evaluation.held) or (f"dropped: {dropped}" if dropped else rendering.NOTHING),
    ]


def _named(entity: definition_pb2.ConditionEntity) -> str:
    kind = entity.WhichOneof("kind")
    if kind == "check":
        return f"{documents.format_asset_key(entity.check.asset_key)}:{entity.check.name}"
    if kind == "job":
        return f"job {entity.job.job_name}"
    return documents.format_asset_key(entity.asset)


async def _entity(
    client: client_connection.Client, name: str, check: str, location: str, *, is_job: bool
) -> definition_pb2.ConditionEntity:
    """Return what the command line names.

    Raises:
        errors.NotFoundError: If no location has a job of that name with a condition.
        errors.InvalidArgumentError: If several have.
    """
    if not is_job:
        key = connection.asset_key(name)
        if check:
            named = values_pb2.AssetCheckKey(asset_key=key, name=check)
            return definition_pb2.ConditionEntity(check=named)
        return definition_pb2.ConditionEntity(asset=key)
    owners = [location] if location else await _owners_of_job(client, name)
    if len(owners) > 1:
        raise errors.InvalidArgumentError(
            f"The locations {', '.join(owners)} all have a job {name!r}. Name one with --location."
        )
    if not owners:
        raise errors.NotFoundError(
            f"No location gives a job {name!r} a condition. See 'atoll conditions list'.",
            reason=errors.reasons.UNKNOWN_CONDITION,
            metadata={"target": name},
        )
    job = definition_pb2.ConditionJob(location_name=owners[0], job_name=name)
    return definition_pb2.ConditionEntity(job=job)


async def _owners_of_job(client: client_connection.Client, name: str) -> list[str]:
    return [
        target.location_name
        async for target in client.conditions.list()
        if target.entity.job.job_name == name
    ]
