"""
From a URL to a view.

dispatch.py    path, include, reverse; finding a view and calling it
mount.py       mount: ASGI apps in the urlpatterns
websockets.py  websocket, WebSocket, BadMessage
lifespan.py    running what an app does at start-up and shutdown
view_names.py  what an error calls a view
unawaited.py   calls that nobody awaited, as errors during development
"""

from vinyl.web.routing.dispatch import (
    dispatch,
    include,
    mount,
    path,
    re_path,
    register_converter,
    reverse,
    reverse_lazy,
)

__all__ = [
    "dispatch",
    "include",
    "mount",
    "path",
    "re_path",
    "register_converter",
    "reverse",
    "reverse_lazy",
]
