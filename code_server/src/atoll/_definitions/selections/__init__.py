"""Selections of assets: what they are, how they are written, read, and resolved.

`expressions` are the data, `parsing` and `writing` lead from and to text, `graph` says what a
selection chooses from, `resolving` chooses, and `spec_graph` looks at definitions as such a graph.
All but the last know nothing of definitions. The public class is in `atoll._definitions`.
"""
