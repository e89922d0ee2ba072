"""The proto package atoll.mesh."""
