"""Conditions as messages: what a location sends of them, what the host stores of evaluations.

Called by `_wire` and by the host. Imports conditions, partitions and generated code only.
"""
