"""Declarative automation: conditions as data, and what they say about assets at a moment.

Called by the definitions of a location, which make conditions, and by the host, which evaluates
them over the graph of all locations. Pure: no I/O, no clock, nothing of users' code. What is known
of assets comes in by a `views.View`, what is remembered goes out as `states.TargetState`.
"""
