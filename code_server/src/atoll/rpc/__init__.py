"""The proto package atoll.rpc."""
