"""`request.user`: the user who is logged in, fetched on first use."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Generator
from typing import Any

from django.utils.functional import SimpleLazyObject, empty

from vinyl.bridge.greenlets import await_, in_bridge, run
from vinyl.bridge.mode import runs_sync
from vinyl.bridge.refusals import asked_by
from vinyl.exceptions import NotFetchedError

__all__ = ["LAZY_USER", "USER_SOURCE", "LazyUser"]

# Its key in the scope. Tools use the value of the key "user" without awaiting it.
LAZY_USER = "vinyl.user"

# The key of the object whose `session` says who that is, when it is fetched.
USER_SOURCE = "vinyl.user_source"

# Modules that test whether an object can be awaited.
_ASKING = "asyncio", "inspect"
# Those between them and the object, if they ask with an abstract class.
_ISINSTANCE = "abc", "vinyl.bridge.async_methods"


class LazyUser(SimpleLazyObject):  # type: ignore[type-arg]  # not at runtime
    """
    Django's lazy user, which can also be awaited: `user = await request.user`, any
    number of times. Sync code and templates use it as it is.

    Args:
        fetch: A sync function that returns the user; it runs in the bridge.
    """

    _wrapped: Any

    def __init__(self, fetch: Callable[[], Any]) -> None:
        super().__init__(fetch)
        self.__dict__["_fetching"] = asyncio.Lock()

    @classmethod
    def of(cls, user: Any) -> Any:
        """Return *user* in a form that can be awaited. Never switches."""
        if hasattr(type(user), "__await__"):
            return user
        lazy = cls(lambda: user)
        lazy._wrapped = user
        return lazy

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._fetch().__await__()

    async def _fetch(self) -> Any:
        if self._wrapped is empty:
            async with self._fetching:
                if self._wrapped is empty:
                    self._wrapped = await run(self._setupfunc)
        return self._wrapped

    def _setup(self) -> None:
        if in_bridge():
            await_(self._fetch())
        elif runs_sync():
            super()._setup()  # type: ignore[misc]
        else:
            raise NotFetchedError(
                "request",
                "user",
                "using it",
                "Write `user = await request.user` before you use it in an async view.",
            )

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # Called by isinstance(), through the __getattribute__ of LazyObject.
        if self._wrapped is empty:
            depth = 3
            while asked_by(*_ISINSTANCE, depth=depth):
                depth += 1
            if asked_by(*_ASKING, depth=depth):
                return LazyUser
        return self._user().__class__

    def __hash__(self) -> int:
        # gather() uses its arguments as keys of a dict.
        return object.__hash__(self) if asked_by("asyncio") else hash(self._user())

    def __copy__(self) -> Any:
        return copy.copy(self._user())

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(self._user(), memo)

    def _user(self) -> Any:
        if self._wrapped is empty:
            self._setup()
        return self._wrapped

    def __repr__(self) -> str:
        if self._wrapped is empty:
            return "<NotFetched request.user>"
        return repr(self._wrapped)
