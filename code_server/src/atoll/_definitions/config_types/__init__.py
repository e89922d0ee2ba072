"""The language of config schemas: what config may look like, piece by piece.

Called through `_definitions.config_schemas`. Each piece checks plain config, resolves it into what
user code gets and describes itself by JSON Schema. Pure Python: what needs pydantic stands in
`_definitions.config`, which joins in through `rules`.
"""
