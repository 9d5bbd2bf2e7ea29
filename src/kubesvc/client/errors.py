"""What can go wrong between a client and an API server.

    ClientError
    ├── ConnectionFailed    no answer came: refused, reset, timed out, TLS not trusted
    │   └── Garbled         what came is not what an API server says: cut off, or somebody else's
    └── KubeconfigError     the kubeconfig or in-cluster files do not say how to connect

What the server itself refuses is an `ApiError` of `kubesvc.api.status`.
"""


class ClientError(Exception):
    """Base of the client's own errors."""


class ConnectionFailed(ClientError):
    """No answer came from the API server."""


class Garbled(ConnectionFailed):
    """What came cannot be read."""


class KubeconfigError(ClientError):
    """A kubeconfig or the in-cluster files are missing, unreadable or incomplete."""
