"""The processes that hold user code: definitions process, evaluator and run worker.

Started by the code server, spoken to over a unix socket, recovered through files. No gRPC, no
asyncio in here: these processes fork, and what they import is what every fork carries.
"""
