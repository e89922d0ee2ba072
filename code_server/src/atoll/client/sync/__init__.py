"""The client of a host for programs that do not await: the same nouns, the same methods.

    from atoll.client.sync import connection

    with connection.connect("127.0.0.1:4700") as host:
        run = host.runs.wait(host.runs.launch(launch).run_id)

Made from the asynchronous client by ``python -m tests.architecture.sync_client``; every call runs
there, in a thread of the connection.
"""
