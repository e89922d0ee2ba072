"""``atoll jobs``: the jobs of all locations, and the ops, assets and checks that they run."""

import json
from typing import Any, Final

import click

from atoll._cli import connection, definition_texts, rendering
from atoll.api.v1 import jobs_pb2, locations_pb2
from atoll.client import connection as client_connection
from atoll.client import documents

FEATURE: Final = "jobs"

_COLUMNS: Final = (
    rendering.Column("JOB", shrinks=True, names=True, colour="bold"),
    rendering.Column("LOCATION"),
    rendering.Column("ASSETS", align="right"),
    rendering.Column("PARTITIONED"),
    rendering.Column("DESCRIPTION", shrinks=True),
)
_NAME_COLUMNS: Final = _COLUMNS[:2]


@click.group()
def jobs() -> None:
    """Show jobs."""


@jobs.command("list")
@click.option("--location", default="", help="Only jobs of this location.")
@connection.limit_option(None)
@connection.host_option
@connection.json_option
def list_(location: str, limit: int | None, host: str, *, as_json: bool) -> None:
    """List the jobs of all locations that can be launched by name."""

    async def work(client: client_connection.Client) -> None:
        if FEATURE not in client.server.features:
            # A host of the release before tells the names of jobs, and nothing else in lists.
            await _list_names(client, location, as_json=as_json)
            return
        found = [job async for job in client.jobs.list(location_name=location, limit=limit)]
        if as_json:
            click.echo(documents.plain_listing("jobs", [_document(job) for job in found]))
        elif not found:
            click.echo("There are no jobs" + (f" in {location}." if location else " yet."))
        else:
            rows = sorted(_row(job) for job in found)
            click.echo(rendering.table(_COLUMNS, rows, connection.terminal()))

    connection.run(host, work)


@jobs.command()
@click.argument("name")
@click.option("--location", default="", help="Needed where several locations have the job.")
@click.option(
    "--config-schema",
    is_flag=True,
    help="Print only the JSON Schema of the configuration of its runs.",
)
@connection.host_option
@connection.json_option
def show(name: str, location: str, host: str, *, config_schema: bool, as_json: bool) -> None:
    """Show one job: its ops, assets and checks, its partitions, and what its runs need."""

    async def work(client: client_connection.Client) -> None:
        found = await client.locations.job(name, location_name=location)
        if config_schema:
            schema = documents.user_data(found.job.config_schema)
            click.echo(json.dumps(schema, ensure_ascii=False, indent=2))
        else:
            click.echo(documents.single(found) if as_json else _details(found))

    connection.run(host, work)


async def _list_names(client: client_connection.Client, location: str, *, as_json: bool) -> None:
    known = [location] if location else [one.name async for one in client.locations.list()]
    found = [await client.locations.get(name) for name in known]
    rows = [[job, one.name] for one in found for job in one.job_names]
    if as_json:
        pairs = [{"job_name": job, "location_name": name} for job, name in rows]
        click.echo(documents.plain_listing("jobs", pairs))
    else:
        click.echo(rendering.table(_NAME_COLUMNS, sorted(rows), connection.terminal()))


def _document(job: jobs_pb2.Job) -> dict[str, Any]:
    # The name stands where it stood before there was more to tell.
    return {"job_name": job.definition.name, **documents.plain(job)}


def _row(job: jobs_pb2.Job) -> list[str]:
    definition = job.definition
    return [
        definition.name,
        job.location_name,
        str(len(definition.asset_keys)) if definition.asset_keys else rendering.NOTHING,
        "yes" if definition.HasField("partitions") else "no",
        definition.description.partition("\n")[0] or rendering.NOTHING,
    ]


def _details(found: locations_pb2.GetJobResponse) -> str:
    job = found.job
    graphs = {one.name: one for one in found.graphs}
    tags = job.run_tags or job.tags
    metadata = documents.metadata(job.metadata)
    partitions = definition_texts.partitions(job.partitions) if job.HasField("partitions") else ""
    pairs = [
        ("job", job.name),
        ("location", found.location_name),
        ("description", job.description),
        ("owners", ", ".join(job.owners)),
        ("ops", "\n".join(definition_texts.graph(job.graph_name, graphs))),
        ("assets", "\n".join(documents.format_asset_key(key) for key in job.asset_keys)),
        (
            "checks",
            "\n".join(
                f"{documents.format_asset_key(key.asset_key)}:{key.name}" for key in job.check_keys
            ),
        ),
        ("partitions", partitions),
        ("resources", ", ".join(job.resource_keys)),
        ("executor", job.executor_name),
        ("tags", "\n".join(f"{key} = {tags[key]}" for key in sorted(tags))),
        ("metadata", "\n".join(f"{key} = {value}" for key, value in metadata.items())),
    ]
    return rendering.fields(pairs, connection.terminal())
