"""Messages and services of the proto package atoll.location.v1, generated; do not edit the modules below."""
