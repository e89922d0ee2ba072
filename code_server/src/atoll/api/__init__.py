"""The proto package atoll.api."""
