"""The proto package atoll.location."""
