"""
Named tuples whose classes take little time to make.

`typing.NamedTuple` compiles each annotation and a constructor, and copies the class. It
takes about twenty times as long as an ordinary class, which is much for each process
that imports it. These make the constructor with the first instance, and do not compile
annotations. Type checkers take them for `typing.NamedTuple`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["NamedTuple"]

if TYPE_CHECKING:
    from typing import NamedTuple
else:
    import inspect
    from collections import namedtuple
    from inspect import Signature
    from types import FunctionType, MethodType

    _make = tuple.__new__
    # It reads one position of a tuple, faster than a property does.
    _Field = type(vars(namedtuple("_Any", "field"))["field"])

    def _constructor(cls: type) -> FunctionType:
        names = "".join(f"{name}, " for name in cls._fields)
        new = eval(f"lambda _cls, {names}: _make(_cls, ({names}))", {"_make": _make})
        new.__defaults__ = tuple(cls._field_defaults.values())
        new.__annotations__ = cls.__annotations__
        return new

    class _RecordType(type):
        """Makes fields of the annotations of a class."""

        def __new__(
            mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]
        ) -> type:
            namespace = {"__slots__": (), **namespace}
            # Not for NamedTuple itself, or for subclasses of a class with fields.
            if bases[0] is not tuple and not hasattr(bases[0], "_fields"):
                fields = tuple(namespace.get("__annotations__", ()))
                defaults = {key: namespace[key] for key in fields if key in namespace}
                if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                    raise TypeError(
                        f"{name} has a field without a default behind one with a "
                        f"default, which could never be left out. Put the fields with "
                        f"defaults last."
                    )
                namespace |= {
                    "__match_args__": fields,
                    "_fields": fields,
                    "_field_defaults": defaults,
                }
                for position, field in enumerate(fields):
                    namespace[field] = _Field(position, None)
            return super().__new__(mcs, name, bases, namespace)

        @property
        def __signature__(cls) -> Signature:
            # Only documentation asks.
            return inspect.signature(MethodType(_constructor(cls), cls))

    class NamedTuple(tuple, metaclass=_RecordType):
        """The base of the named tuples, as `typing.NamedTuple` is."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            owner = next(base for base in cls.__mro__ if "_fields" in vars(base))
            # From now on without this method.
            owner.__new__ = staticmethod(_constructor(owner))
            return cls(*args, **kwargs)

        def _replace(self, **changes: Any) -> Any:
            return type(self)(**{**self._asdict(), **changes})

        def _asdict(self) -> dict[str, Any]:
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            shown = ", ".join(
                f"{key}={value!r}" for key, value in self._asdict().items()
            )
            return f"{type(self).__qualname__}({shown})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)
