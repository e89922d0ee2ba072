"""TLS of the host: its settings, and what its HTTP listeners need of it."""
