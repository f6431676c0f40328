"""`request.META`, and the headers that middleware changes in it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Meta", "headers_in"]

# The headers whose names in META have no prefix.
WITHOUT_PREFIX = {"CONTENT_TYPE", "CONTENT_LENGTH"}


class Meta(dict[str, Any]):
    """`request.META`, which notes that it has been changed."""

    # Whether the headers of the request have to be read again.
    changed = False

    def get(self, key: str, default: Any = None) -> Any:
        # Vinyl does not read this cookie, so no decorator needs to set it.
        return False if key == "CSRF_COOKIE_NEEDS_UPDATE" else super().get(key, default)


def noting(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return *method* of a dictionary for Meta."""

    @functools.wraps(method)
    def changing(self: Meta, *args: Any, **kwargs: Any) -> Any:
        self.changed = True
        return method(self, *args, **kwargs)

    return changing


for (
    _name
) in "__delitem__ __ior__ __setitem__ clear pop popitem setdefault update".split():
    setattr(Meta, _name, noting(getattr(dict, _name)))


def headers_in(meta: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and value of each header in *meta*. Never switches."""
    for key, value in meta.items():
        name = key.removeprefix("HTTP_")
        if name != key or key in WITHOUT_PREFIX:
            name = name.replace("_", "-").lower()
            yield name.encode("latin-1"), str(value).encode("latin-1", "replace")
