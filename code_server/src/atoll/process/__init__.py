"""The proto package atoll.process."""
