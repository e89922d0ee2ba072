"""The gRPC face of the code server: requests in, domain calls, responses out.

Nothing is decided here.
"""
