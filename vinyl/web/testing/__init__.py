"""
A client for tests.

http_client.py  the client
websockets.py   its side of a WebSocket
transport.py    what carries its requests to the application
login.py        logging in and out
tracebacks.py   shortening tracebacks to the lines of the project
"""

from vinyl.web.testing.http_client import Client, client
from vinyl.web.testing.websockets import (
    WebSocketDenied,
    WebSocketDisconnect,
    WebSocketSession,
)

__all__ = [
    "Client",
    "WebSocketDenied",
    "WebSocketDisconnect",
    "WebSocketSession",
    "client",
]
