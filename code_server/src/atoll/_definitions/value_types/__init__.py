"""Types of values: what they check, what annotations lead to them, how they are loaded.

Called through `_definitions.types`. Nothing here knows of steps: what a check or a loader gets as
its context is made in `_execution`.
"""
