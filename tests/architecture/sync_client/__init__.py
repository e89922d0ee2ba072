"""Makes ``atoll.client.sync`` from the asynchronous client.

``python -m tests.architecture.sync_client`` writes the modules; a test compares them with what
would be written now. A class of the asynchronous client with asynchronous methods gets a twin: the
same methods, parameters and descriptions, with bodies that hand the call to the original.
"""
