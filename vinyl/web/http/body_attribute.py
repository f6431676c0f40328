"""`request.body`: Starlette's method and Django's attribute in one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Self

from vinyl.bridge.calls import Dual
from vinyl.bridge.refusals import refusing
from vinyl.bridge.threads import dual_coroutine
from vinyl.exceptions import NotAwaitedError

__all__ = ["ReadBody", "UnreadBody"]


async def _body(body: _BodyCall) -> bytes:
    return await body._read()


# The name of the attribute, by which its callers are recognised.
_body.__name__ = "body"


class _BodyCall:
    _read: Callable[[], Coroutine[Any, Any, bytes]]

    if TYPE_CHECKING:

        def __call__(self) -> Dual[bytes]: ...

    else:
        __call__ = dual_coroutine("Request.body")(_body)


class ReadBody(_BodyCall, bytes):
    """A body that has arrived: bytes, which can also be called."""

    @classmethod
    def of(cls, content: bytes, read: Callable[[], Coroutine[Any, Any, bytes]]) -> Self:
        """Args: as for `UnreadBody`, after the *content*. Never switches."""
        body = cls(content)
        body._read = read
        return body

    def __reduce__(self) -> Any:
        # In a cache it is a value like any other.
        return bytes, (bytes(self),)


@refusing
class _NoValue:
    def _refuse(self, use: str) -> Any:
        raise NotAwaitedError(
            f"request.body was used in async code before the body was read, so {use} "
            f"is not possible. Write `await request.body()`."
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._refuse(f"reading .{name} from it")


class UnreadBody(_BodyCall, _NoValue):
    """
    A body that has not arrived, on the event loop: it can only be called.

    Args:
        read: Reads the body.
    """

    def __init__(self, read: Callable[[], Coroutine[Any, Any, bytes]]) -> None:
        self._read = read

    def __repr__(self) -> str:
        return "<UnreadBody: await request.body()>"
