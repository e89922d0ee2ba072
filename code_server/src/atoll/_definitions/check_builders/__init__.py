"""Checks that Atoll brings along: of columns, of metadata and of freshness.

Called by users. They ask only the log of the instance and load no values; so they look at assets of
any location.
"""
