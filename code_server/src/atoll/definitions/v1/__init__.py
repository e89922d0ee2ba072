"""Messages and services of the proto package atoll.definitions.v1, generated; do not edit the modules below."""
