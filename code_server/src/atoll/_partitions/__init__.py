"""Partitions: which there are, sets of them, and how those of one asset belong to those of another.

Called by definitions, by the code that runs them, and by the host, which must come to the same keys
as the location that a definition is from. Nothing in here does I/O or knows user code, assets,
messages or instances: time and dynamic keys come in as arguments.
"""
