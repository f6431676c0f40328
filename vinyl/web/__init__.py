"""
The web layer: Django's conventions on Starlette, async first.

application.py   the ASGI application, made from the settings
middleware.py    the entries of settings.MIDDLEWARE, and their kinds
django_middleware.py  the entries of Django's kind
django_handlers.py  Django's handlers, which packages use, with that middleware
views.py         Django's class-based views, whose methods may be async
decorators.py    Django's decorators for views
shortcuts.py     get_object_or_404, get_list_or_404
forms.py         Django's forms made from what `await request.form()` returns
pagination.py    Django's paginator, dual-mode
subscripting.py  classes that may be given type parameters, such as ModelForm
mail.py          Django's functions for e-mail, dual-mode
sessions.py      request.session, on Django's engines
auth.py          users in requests, login and logout, decorators for views
messages.py      messages to show on the visitor's next page
i18n.py          the language of a request
csrf.py          protection against cross-site requests
security.py      host validation, proxies, security headers
cors.py          cross-origin resource sharing
conditional.py   304 responses for clients that have the current page
access.py        request ids and the access log
health.py        views for load balancers
loop_watch.py    reports of code that blocks the event loop
recording.py     recordings of requests, and reports of N+1 queries
apps.py          the app config

http/            requests and responses
routing/         from a URL to a view
templating/      Jinja2 templates that run in the bridge
errors/          from an error to a response
staticfiles/     static files
testing/         a client for tests
checks/          system checks
toolbar/         a panel on the page with the queries of the request
admin/           Django's admin
management/      the commands of `vinyl`

Imports flow one way: see tests/test_package.py.
"""

from django.http import Http404
from django.urls import include, register_converter, reverse_lazy
from django.utils.http import url_has_allowed_host_and_scheme

from vinyl.bridge.threads import in_thread
from vinyl.web.application import get_asgi_application
from vinyl.web.http.background import BackgroundTask, BackgroundTasks
from vinyl.web.http.events import Event, EventSourceResponse
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    redirect,
)
from vinyl.web.http.streaming import StreamingResponse
from vinyl.web.routing.mounted_apps import mount
from vinyl.web.routing.urls import path, re_path
from vinyl.web.routing.websockets import (
    BadMessage,
    WebSocket,
    WebSocketDisconnect,
    websocket,
)
from vinyl.web.shortcuts import (
    aget_list_or_404,
    aget_object_or_404,
    get_list_or_404,
    get_object_or_404,
)
from vinyl.web.templating.engine import render, stream
from vinyl.web.templating.links import reverse

__all__ = [
    "BackgroundTask",
    "BackgroundTasks",
    "BadMessage",
    "Event",
    "EventSourceResponse",
    "FileResponse",
    "HTMLResponse",
    "Http404",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Request",
    "Response",
    "StreamingResponse",
    "WebSocket",
    "WebSocketDisconnect",
    "aget_list_or_404",
    "aget_object_or_404",
    "get_asgi_application",
    "get_list_or_404",
    "get_object_or_404",
    "in_thread",
    "include",
    "mount",
    "path",
    "re_path",
    "redirect",
    "register_converter",
    "render",
    "reverse",
    "reverse_lazy",
    "stream",
    "url_has_allowed_host_and_scheme",
    "websocket",
]
