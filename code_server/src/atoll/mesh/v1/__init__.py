"""Messages and services of the proto package atoll.mesh.v1, generated; do not edit the modules below."""
