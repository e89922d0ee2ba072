"""Messages and services of the proto package atoll.process.v1, generated; do not edit the modules below."""
