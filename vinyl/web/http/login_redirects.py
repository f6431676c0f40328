"""
Redirects to the login page, which Django's decorators, mixins and middleware make. A
client that asks for JSON could not log in there, so it gets status 401 instead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.utils.cache import patch_vary_headers
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from vinyl.bridge.patching import Patch
from vinyl.web.http.requests import Request

__all__ = ["TABLE", "refuse_instead"]

# The mark on these responses.
NEEDS_LOGIN = "vinyl_needs_login"


def patch_redirect_to_login(redirect: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `redirect_to_login()`: mark what it returns, which depends on `Accept`."""

    @functools.wraps(redirect)
    def redirect_to_login(*args: Any, **kwargs: Any) -> Any:
        response = redirect(*args, **kwargs)
        setattr(response, NEEDS_LOGIN, True)
        patch_vary_headers(response, ["Accept"])
        return response

    return redirect_to_login


def refuse_instead(response: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """
    Raise an error if *response* is a redirect to the login page, and the client prefers
    JSON to HTML.

    Raises:
        HTTPException: It is, with status 401.

    Never switches.
    """
    if not getattr(response, NEEDS_LOGIN, False) or scope["type"] != "http":
        return
    try:
        types = ["text/html", "application/json"]
        request = Request.of(scope, receive, send)
        preferred = request.get_preferred_type(types)
    except ValueError:
        # The header is malformed.
        return
    if preferred == "application/json":
        raise HTTPException(401, headers={"Vary": "Accept, Cookie"})


# Two modules import it by name.
TABLE = tuple(
    Patch(f"django.contrib.auth.{module}", "redirect_to_login", patch_redirect_to_login)
    for module in ("views", "middleware", "mixins")
)
