"""Partitions of the log by ranges of ids: making them ahead of need, dropping the oldest.

Called by `log_writer` and `event_log` under the append lock. A partition is made beside the log and
attached: creating it in place would wait for every reader of the log, and all appends behind it.
"""

from psycopg import sql

from atoll_storage import connections

SIZE = 1_000_000
AHEAD = 2
"""How many whole partitions are kept ready beyond the one that holds the head."""

# The check spares the attachment a scan under its lock.
_CREATE = sql.SQL(
    "CREATE TABLE {name} (LIKE events INCLUDING ALL, "
    "CONSTRAINT {check} CHECK (id >= {first_id} AND id < {end}))"
)
_ATTACH = sql.SQL(
    "ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({first_id}) TO ({end})"
)
_DROP_CHECK = sql.SQL("ALTER TABLE {name} DROP CONSTRAINT {check}")


def name_of(first_id: int) -> str:
    """Return the name of the partition that begins with `first_id`."""
    return f"events_{first_id // SIZE:06d}"


async def extend(raw: connections.RawConnection, head: int, partitioned_to: int) -> int:
    """Create the partitions that ids after `head` need; return the first id without one."""
    wanted = (head // SIZE + 1 + AHEAD) * SIZE
    first_id = partitioned_to
    while first_id < wanted:
        parts: dict[str, sql.Composable] = {
            "name": sql.Identifier(name_of(first_id)),
            "check": sql.Identifier(f"{name_of(first_id)}_range"),
            "first_id": sql.Literal(first_id),
            "end": sql.Literal(first_id + SIZE),
        }
        for statement in (_CREATE, _ATTACH, _DROP_CHECK):
            await raw.execute(statement.format(**parts))
        first_id += SIZE
    if first_id != partitioned_to:
        await raw.execute("UPDATE log_head SET partitioned_to = %s", [first_id])
    return first_id


async def drop_oldest(raw: connections.RawConnection, before_id: int) -> bool:
    """Drop the oldest partition if all its ids are below `before_id` and the head.

    Says whether it did. Readers wait for its lock and it for readers, but not for long.
    """
    await raw.execute("SET LOCAL lock_timeout = '3s'")
    cursor = await raw.execute("SELECT pruned_through, head FROM log_head")
    row = await cursor.fetchone()
    first_id = 0 if row is None or row[0] == 0 else row[0] + 1
    end = first_id + SIZE
    if row is None or end > before_id or end > row[1]:
        return False
    await raw.execute("UPDATE log_head SET pruned_through = %s", [end - 1])
    await raw.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name_of(first_id))))
    return True
