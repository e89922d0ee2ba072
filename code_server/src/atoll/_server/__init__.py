"""The code server: one per code location, asyncio and grpc.aio, never any user code.

Started by `atoll serve` through `bootstrap`, the only module of this package that runs before gRPC
is loaded. `server` puts the parts together:

    state_directory  identity, lock and socket of a location, kept over restarts
    hub              the unix socket on which the processes that hold user code report
    builds           loads of the user's code, blue/green; each a definitions process
    evaluators       processes that evaluate ticks, killed at their deadline
    runs             runs: accepted, started, watched, canceled, ended, adopted
    forwarding       events from the spools to the host; `output` does so for captured output
    session          registration and lease at the host
    instance_relay   what user code asks of the instance
    reloading        SIGHUP and watched files
    servicers        the gRPC face
"""
