"""Runs programs outside Python's world for assets, ops and checks, and takes what they report.

The other side, in the program, is `atoll_pipes` or anything that speaks docs/reference/pipes.md.
"""
