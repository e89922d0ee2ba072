"""What a code location defines, as plain Python objects: the bottom layer of `atoll`.

Assets, keys, specs, jobs, sensors, config, metadata, run requests, events and errors. Everything
above builds on these. Nothing here runs a step, opens a socket or talks to a server; only `config`
needs pydantic, and nothing else imports it, so that `import atoll` stays light.
"""
