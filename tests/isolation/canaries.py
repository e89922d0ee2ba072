"""Finds secrets where they must not be: in files, in a database, in processes, in what was said.

known = Secrets()
known.add("the password", "canary-...")
assert not list(known.found_in(files(folder, but=[...])))
"""

import dataclasses
import pathlib
import re
from collections.abc import Collection, Iterable, Iterator

import psycopg
from psycopg import sql

Place = tuple[str, bytes]
"""Where something was read, and what."""

ANY_TOKEN = rb"atoll_[0-9a-f]{12}_[A-Za-z0-9_-]{43}"
ANY_RUN_CREDENTIAL = rb"atollrun_[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20}"

COLUMNS_WITH_SECRETS = frozenset(
    {
        ("servers", "control_token"),
        ("signing_keys", "secret"),
        ("subscriptions", "secret"),
        ("subscriptions", "old_secret"),
        ("webhooks", "secret"),
    }
)
"""Of the database: what has to be there as it is. Of tokens there is the SHA-256."""


@dataclasses.dataclass
class Secrets:
    """What is not to be found."""

    patterns: dict[str, re.Pattern[bytes]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        self.patterns["some token"] = re.compile(ANY_TOKEN)
        self.patterns["some credential of a run"] = re.compile(ANY_RUN_CREDENTIAL)

    def add(self, name: str, *forms: str | bytes) -> None:
        """Look for a secret too, in each of its forms."""
        for form in forms:
            content = form.encode() if isinstance(form, str) else form
            assert len(content) >= 16, f"{name} is so short that it may be anywhere"
            self.patterns[f"{name} ({len(self.patterns)})"] = re.compile(re.escape(content))

    def found_in(self, places: Iterable[Place]) -> Iterator[str]:
        """Yield what was found, and where."""
        for where, content in places:
            for name, pattern in self.patterns.items():
                if pattern.search(content):
                    yield f"{name} in {where}"


def files(folder: pathlib.Path, but: Collection[pathlib.Path] = ()) -> Iterator[Place]:
    """Yield every file in a folder, except for some and those below them."""
    for path in sorted(folder.rglob("*")):
        kept = any(path == each or each in path.parents for each in but)
        if path.is_file() and not kept:
            yield str(path), path.read_bytes()


def tables(url: str) -> Iterator[Place]:
    """Yield every row of a database, but for what has to hold secrets."""
    with psycopg.connect(url) as database:
        columns = database.execute(
            "SELECT table_name, column_name FROM information_schema.columns AS c "
            "JOIN information_schema.tables AS t USING (table_schema, table_name) "
            "WHERE table_schema = 'public' AND t.table_type = 'BASE TABLE'"
        ).fetchall()
        assert set(columns) >= COLUMNS_WITH_SECRETS, "a column with secrets is called otherwise"
        for table, column in sorted(set(columns) - COLUMNS_WITH_SECRETS):
            query = sql.SQL("SELECT {} FROM {}").format(
                sql.Identifier(column), sql.Identifier(table)
            )
            for (value,) in database.execute(query):
                content = value if isinstance(value, bytes) else str(value).encode()
                yield f"{table}.{column}", content


def secrets_of(url: str) -> dict[str, list[bytes]]:
    """Return the secrets that a database has to hold, by their column."""
    found: dict[str, list[bytes]] = {}
    with psycopg.connect(url) as database:
        for table, column in sorted(COLUMNS_WITH_SECRETS):
            query = sql.SQL("SELECT {} FROM {}").format(
                sql.Identifier(column), sql.Identifier(table)
            )
            values = [value for (value,) in database.execute(query) if value]
            found[f"{table}.{column}"] = [
                value if isinstance(value, bytes) else value.encode() for value in values
            ]
    return found
