"""The type of the context that gRPC gives to every method."""

from typing import Any

import grpc.aio

Context = grpc.aio.ServicerContext[Any, Any]
