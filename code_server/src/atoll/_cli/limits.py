"""``atoll limits``: what a caller of a host can count on."""

import click

from atoll._cli import connection, rendering
from atoll.api.v1 import server_pb2
from atoll.client import connection as client_connection
from atoll.client import documents


@click.command()
@connection.host_option
@connection.json_option
def limits(host: str, *, as_json: bool) -> None:
    """Show the limits and features of a host."""

    async def work(client: client_connection.Client) -> None:
        found = await client.limits.get()
        click.echo(documents.single(found) if as_json else _details(found))

    connection.run(host, work)


def _details(found: server_pb2.GetLimitsResponse) -> str:
    runs = f"{found.active_runs_max:,}" if found.HasField("active_runs_max") else "no limit"
    pairs = [
        ("version", found.version),
        ("message", f"{found.message_bytes_max:,} bytes at the most"),
        ("page", f"{found.page_size_default:,} entries, {found.page_size_max:,} at the most"),
        ("page of the graph", f"{found.graph_page_size_max:,} assets at the most"),
        ("deadline", f"{rendering.duration(documents.seconds(found.deadline_default))} by default"),
        ("runs at once", runs),
        ("request ids", f"kept for {rendering.duration(documents.seconds(found.request_id_ttl))}"),
        ("partition keys", f"{found.partition_keys_max:,} in one change at the most"),
        ("features", ", ".join(found.features)),
    ]
    return rendering.fields(pairs, connection.terminal())
