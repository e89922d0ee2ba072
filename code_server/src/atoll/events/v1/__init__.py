"""Messages and services of the proto package atoll.events.v1, generated; do not edit the modules below."""
