"""What Alembic runs to migrate, on the connection that `atoll_storage.migrating` hands over.

For `alembic revision` at a developer's desk there is no connection; a migration is written by hand
anyway.
"""

from alembic import context

from atoll_storage import schema

context.configure(
    connection=context.config.attributes["connection"], target_metadata=schema.metadata
)
context.run_migrations()
