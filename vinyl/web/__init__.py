"""
The web layer: Django's habits on Starlette, async first.

application.py   the ASGI application, made from the settings
routing.py       path, include, reverse; from a URL to a view, and calling it
mounting.py      mount: apps of others in the urlpatterns
prefix.py        the prefix under which the site is served
websockets.py    websocket, WebSocket, BadMessage
lifespan.py      running what an app does at start-up and shutdown
requests.py      Request
reading.py       its part that reads: form, JSON, bytes
bodies.py        the body of a request, received once, in time, for all readers
spooling.py      the file that a body is kept in
parsing.py       forms, by Django's parsers, and strict JSON
responses.py     the response classes, redirect
headers.py       text in headers and cookies
streaming.py     StreamingResponse
events.py        EventSourceResponse: server-sent events
background.py    BackgroundTask: what is done after the response
health.py        views that load balancers ask
translating.py   Django's responses as Starlette's
shortcuts.py     get_object_or_404, get_list_or_404
templating.py    Jinja2 inside the bridge, render, stream
templateerrors.py  Jinja2's errors as Django's, with the places that were searched
forms.py         Django's forms made from what `await request.form()` returns
views.py         Django's class-based views, whose methods may be async
decorators.py    Django's decorators for views
pagination.py    Django's paginator, dual-mode
mail.py          Django's functions for e-mail, dual-mode
staticfiles.py   static files during development and in production, uploads
compression.py   compressed variants of static files, for collectstatic
i18n.py          the language of a request
filters.py       what templates have for text, numbers and times, and Django's filters
recording.py     what each request asks for during development
toolbar/         a panel on the page that shows it
sessions.py      request.session, on Django's engines
users.py         what request.user is before it has been fetched
auth.py          users in requests, login and logout, decorators for views
messages.py      messages for the visitor's next page
csrf.py          refusing cross-site posts
access.py        an id for each request, and a line in the log
conditional.py   304 for what the client has already
cors.py          letting other origins read answers
security.py      host validation, proxies, security headers
csp.py           Content Security Policy
injection.py     no header of a response brings others
describing.py    what an error calls a view
unawaited.py     calls that nobody awaited, as errors during development
errors.py        from an error to an answer
debugpages.py    what developers see of it
pages.py         plain answers, without a template
logs.py          the loggers, e-mail to ADMINS
cleansing.py     what reports leave out
reporting.py     reports that never fail because of what they show
testing.py       a client for tests
testing_users.py how it logs in and out
transport.py     what carries its requests to the application
tracebacks.py    of an error that it raises, the lines of the project
checks.py        system checks
deploychecks.py  Django's security checks, for vinyl's middleware
djangosettings.py  which of Django's settings count here
admin/           the admin: Django's, with pages of its own
management/      the commands: runserver, routes, startproject, startapp

Imports flow down from application; vinyl.orm never imports vinyl.web.
"""

from django.http import Http404
from django.utils.http import url_has_allowed_host_and_scheme

from vinyl.orm.threads import in_thread
from vinyl.web.application import get_asgi_application
from vinyl.web.background import BackgroundTask, BackgroundTasks
from vinyl.web.events import Event, EventSourceResponse
from vinyl.web.requests import Request
from vinyl.web.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    redirect,
)
from vinyl.web.routing import (
    include,
    mount,
    path,
    re_path,
    register_converter,
    reverse,
    reverse_lazy,
)
from vinyl.web.shortcuts import (
    aget_list_or_404,
    aget_object_or_404,
    get_list_or_404,
    get_object_or_404,
)
from vinyl.web.streaming import StreamingResponse
from vinyl.web.templating import render, stream
from vinyl.web.websockets import (
    BadMessage,
    WebSocket,
    WebSocketDisconnect,
    websocket,
)

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
