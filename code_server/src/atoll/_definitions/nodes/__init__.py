"""Ops and graphs: what is computed, and how outputs become inputs.

Called by users through the decorators, and by assets and jobs, which are made of these.
"""
