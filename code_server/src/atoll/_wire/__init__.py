"""Python objects of Atoll to protobuf messages and back, exactly.

Used by the processes that hold user code and, for what crosses them, by the code server and the
client. Knows protobuf; no gRPC, no I/O, no user code.
"""
