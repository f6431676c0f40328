"""
Placeholders for values that do not exist yet, which raise an error if they are used as
a value.

The table below lists the operations that an object can refuse. It cannot refuse
`x is None` and `isinstance()`; `vinyl check` reports them (see vinyl.orm.lint).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["asked_by", "refusing"]

# The uses of an object as a value, with their special methods, without underscores.
# Others either make sense without the value, or call one of these.
_REFUSED = {
    "testing its truth value": "bool",
    "converting it to text": "str",
    "formatting it": "format",
    "converting it to bytes": "bytes",
    "converting it to a number": "complex float index int",
    "rounding it": "ceil floor round trunc",
    "comparing it": "eq ge gt le lt ne",
    "hashing it": "hash",
    "iterating over it": "aiter iter",
    "taking its length": "len",
    "testing membership in it": "contains",
    "indexing it": "getitem",
    "setting an item of it": "setitem",
    "deleting an item of it": "delitem",
    "calling it": "call",
    "using it in arithmetic": (
        "abs add and divmod floordiv invert lshift matmul mod mul neg or pos pow radd "
        "rand rdivmod rfloordiv rlshift rmatmul rmod rmul ror rpow rrshift rshift rsub "
        "rtruediv rxor sub truediv xor"
    ),
    "entering its block": "aenter enter",
    "leaving its block": "aexit exit",
    "pickling or copying it": "reduce replace",
    "using it as a path": "fspath",
    "using it as a class": "mro_entries",
    # sqlite3 asks with it for the value to send instead.
    "passing it to the database": "conform",
}


def refusing(cls: type) -> type:
    """
    Class decorator that makes each use of an instance as a value call
    `self._refuse(use)`, which raises an error. *use* describes the use in a few words.

    Only asyncio may hash an instance, because `gather()` uses its arguments as keys of
    a dictionary. Other code would look up the value in a dictionary without finding it.
    Never switches.
    """

    def refuser(use: str) -> Callable[..., Any]:
        def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
            return self._refuse(use)

        return refuse

    for use, names in _REFUSED.items():
        refuse = refuser(use)
        for name in names.split():
            setattr(cls, f"__{name}__", refuse)
    refuse_hash: Callable[[Any], int] = vars(cls)["__hash__"]

    def __hash__(self: Any) -> int:
        return object.__hash__(self) if asked_by("asyncio") else refuse_hash(self)

    cls.__hash__ = __hash__  # type: ignore[assignment]
    return cls


def asked_by(*packages: str, depth: int = 2) -> bool:
    """
    Whether the caller's caller is code of one of *packages*.

    Args:
        depth: The distance in calls; 3 is the caller of that code, and so on.

    Never switches.
    """
    asker = sys._getframe(depth).f_globals.get("__name__")
    return f"{asker}.".startswith(tuple(f"{package}." for package in packages))
