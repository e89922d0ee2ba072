"""What Atoll's gRPC servers and clients share: options, deadlines, errors, handshake, serving.

Used by the code server (`atoll._server`), the client (`atoll.client`) and the host. Nothing here
knows a service of the mesh or the API; nothing here holds a domain rule.

Importing any module of this package settles two switches of the gRPC core that are read once, when
it
loads: fork support is off (these processes never fork once gRPC is loaded, and its fork handlers
cost locks), and the core writes only errors to standard error.
"""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
