"""
A client for tests.

http_client.py  the client, and its WebSockets
transport.py    what carries its requests to the application
login.py        logging in and out
tracebacks.py   of an error that a test raises, the lines of the project
"""

from vinyl.web.testing.http_client import (
    Client,
    WebSocketDenied,
    WebSocketDisconnect,
    WebSocketSession,
    client,
)

__all__ = [
    "Client",
    "WebSocketDenied",
    "WebSocketDisconnect",
    "WebSocketSession",
    "client",
]
