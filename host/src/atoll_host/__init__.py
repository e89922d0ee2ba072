"""Atoll's host: aggregates code locations, stores their events, evaluates sensors, launches runs.

`host` composes everything; `commands` is the way in for people.
"""
