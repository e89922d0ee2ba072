"""Messages and services of the proto package atoll.api.v1, generated; do not edit the modules below."""
