"""Makes ``docs/api/reference`` from the protos and their comments.

``python -m tests.docs.api_reference`` writes the pages; a test compares them with what would be
written now.
"""
