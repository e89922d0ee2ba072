"""Messages and services of the proto package atoll.rpc.v1, generated; do not edit the modules below."""
