"""The proto package atoll.events."""
