"""What the tables have in common: their metadata, and the types of names and times.

Called by `schema`, whose conventions hold here, and by modules that describe tables of their own.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    }
)

Name = sa.Text(collation="C")
TIME = sa.DateTime(timezone=True)
