"""Django's responses as Starlette's, for views that were written for Django."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, cast

import starlette.responses
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import SimpleTemplateResponse
from starlette.concurrency import iterate_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.bridge.greenlets import run
from vinyl.web.http.headers import ResponseHeaders, encode_header
from vinyl.web.http.login_redirects import refuse_instead
from vinyl.web.http.responses import Response
from vinyl.web.http.streaming import StreamingResponse

__all__ = ["AnyResponse", "amend_message", "as_app", "convert_response"]

# What a view may return.
AnyResponse: TypeAlias = starlette.responses.Response | HttpResponseBase


async def as_app(response: AnyResponse) -> ASGIApp:
    """
    Return *response* as an ASGI app that sends it. Switches to the event loop.
    """
    if isinstance(response, HttpResponseBase):
        return await convert_response(response)
    return response


async def convert_response(response: HttpResponseBase) -> ASGIApp:
    """
    Return an ASGI app that sends status, headers, cookies and body of *response*. A
    `TemplateResponse` is rendered, in the bridge. The app raises an `HTTPException`
    with status 401 if *response* redirects to the login page, and the client asks for
    JSON.

    Switches to the event loop.
    """
    if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
        response = cast(HttpResponseBase, await run(response.render))
    result: Response
    if not response.streaming:
        result = Response(cast(Any, response).content, response.status_code)
    else:
        pieces: Any = cast(StreamingHttpResponse, response).streaming_content
        if isinstance(response, FileResponse):
            # Reading a file blocks.
            pieces = iterate_in_threadpool(pieces)
        result = StreamingResponse(pieces, response.status_code)
    of_body = [] if response.has_header("Content-Length") else result.raw_headers
    result.raw_headers = [
        *raw(response.items()),
        *of_body,
        *raw(("set-cookie", c.output(header="")) for c in response.cookies.values()),
    ]

    async def send_and_close(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            refuse_instead(response, scope, receive, send)
            await result(scope, receive, send)
        finally:
            # Its close() would also send request_finished, which is for Django's
            # handlers.
            for closer in cast(Any, response)._resource_closers:
                closer()

    return send_and_close


def raw(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[bytes, bytes]]:
    for name, value in headers:
        yield name.lower().encode("latin-1"), encode_header(name, value.strip())


async def amend_message(message: Message, amend: Callable[[HttpResponse], Any]) -> None:
    """
    Add the cookies and the `Vary` header that *amend* sets, sync code of Django's
    middleware, to the response that *message* starts. It runs in the bridge.

    Switches to the event loop.
    """
    response = HttpResponse()
    response.status_code = message.get("status", 200)
    message.setdefault("headers", [])
    headers = ResponseHeaders(scope=message)
    if vary := ", ".join(headers.getlist("vary")):
        response.headers["Vary"] = vary
    await run(amend, response)
    if response.headers.get("Vary", "") != vary:
        del headers["vary"]
        headers["vary"] = response.headers["Vary"]
    for cookie in response.cookies.values():
        headers.append("set-cookie", cookie.output(header="").strip())
