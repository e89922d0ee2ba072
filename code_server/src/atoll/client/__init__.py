"""A typed asynchronous client of a host: everything that ``atoll.api.v1`` offers, as Python.

    async with connection.connect("127.0.0.1:4700") as host:
        run = await host.runs.launch(runs.Launch("daily", location_name="sales"))
        run = await host.runs.wait(run.run_id)

The command line and ``atoll dev`` use only this. Answers are the messages of the API; ``documents``
turns them into plain JSON. Failures are the exceptions of ``errors``, whatever the wire said.
"""
