"""What selections of assets choose from in a location, and how they are loaded when needed.

`spec_graph` looks at definitions as a graph of `atoll._selections`, which has all the rest;
`deferred` loads both when they are first asked for.
"""
