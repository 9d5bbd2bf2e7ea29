"""A client of the Kubernetes API: requests, watches, caches that follow, events."""

from kubesvc.client.errors import ClientError, ConnectionFailed, Garbled, KubeconfigError
from kubesvc.client.events import EventRecorder
from kubesvc.client.informer import Informer
from kubesvc.client.rest import Client, Listing, WatchEvent

__all__ = [
    "Client",
    "ClientError",
    "ConnectionFailed",
    "EventRecorder",
    "Garbled",
    "Informer",
    "KubeconfigError",
    "Listing",
    "WatchEvent",
]
