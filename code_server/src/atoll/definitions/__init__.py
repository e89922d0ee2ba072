"""The proto package atoll.definitions."""
