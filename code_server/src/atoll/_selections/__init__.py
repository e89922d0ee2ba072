"""Selections of assets: what they are, how they are written, read, and resolved.

`expressions` are the data, `parsing` and `writing` lead from and to text, `graph` says what a
selection chooses from, and `resolving` chooses. They know nothing of definitions, so that the host
resolves selections over the assets of all locations with the same code. The public class is in
`atoll._definitions`, and `atoll._definitions.selections` looks at definitions as a graph.
"""
