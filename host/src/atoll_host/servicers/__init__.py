"""The gRPC face of the host: thin methods that ask the services and answer in messages."""
