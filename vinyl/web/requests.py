"""The request that a view gets: Starlette's, for async and for plain views."""

from __future__ import annotations

from typing import Any

import starlette.requests
from django.urls import ResolverMatch

from vinyl.orm.bridge import await_, in_bridge
from vinyl.orm.calls import Call

__all__ = ["Request"]


class Request(starlette.requests.Request):
    """
    Starlette's request, whose `body()`, `json()` and `form()` are dual-mode: awaited
    in an async view, called plainly in a `def` view or a template.
    """

    @property
    def resolver_match(self) -> ResolverMatch:
        """What the URL led to: view, arguments, names."""
        return self.scope["resolver_match"]

    def build_absolute_uri(self, location: str = "") -> str:
        """
        The full URL of *location*, a path or URL relative to this request's; without
        one, the URL of the request itself.
        """
        from urllib.parse import urljoin

        return urljoin(str(self.url), location)

    def body(self) -> Any:
        """The body in bytes; read once. Switches to the event loop."""
        return _dual(super().body(), "Request.body")

    def json(self) -> Any:
        """
        The body, decoded from JSON. Switches to the event loop.

        Raises:
            json.JSONDecodeError: The body is no JSON.
        """
        return _dual(super().json(), "Request.json")

    def form(self, **limits: Any) -> Any:
        """
        The submitted form, a `FormData`; files are in it, too. Read once.

        `async with request.form() as form` closes the files at the end of the block.

        Args:
            limits: As in Starlette: `max_files`, `max_fields`, `max_part_size` (bytes).

        Switches to the event loop.
        """
        form = super().form(**limits)
        return await_(form) if in_bridge() else form


def _dual(coroutine: Any, name: str) -> Any:
    return await_(coroutine) if in_bridge() else Call(coroutine, name)
