"""Declarative automation: decides over the graph of all locations what conditions ask for."""
