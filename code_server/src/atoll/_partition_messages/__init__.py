"""Partitions as messages: what a location sends of them, and what it and the host make of it.

Called by `_wire` and by the host, which come to the same keys. Imports partitions and generated
code only: what is known of assets and runs stays out.
"""
