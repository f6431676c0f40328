"""
Explains the TypeError of awaiting a value that had already been fetched.

`await ticket.project` fetches a relation, and raises a TypeError once the value is
there, for instance after `select_related("project")` was added to the queryset.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from itertools import islice
from types import CodeType, FrameType
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query_utils import DeferredAttribute

from vinyl.bridge.tasks import is_own

__all__ = ["note_awaited_value"]

# The messages of Python, up to 3.13 and since 3.14, which name the value's type, and
# that of asyncio, which does not.
_MESSAGES = re.compile(
    r"object (?P<before>.+) can't be used in 'await' expression"
    r"|'(?P<since>.+)' object can't be awaited"
    r"|An asyncio\.Future, a coroutine or an awaitable is required"
)
_NOTE = (
    "{text} had already been fetched (by select_related(), by an earlier await or by "
    "an assignment), so it is the value itself and cannot be awaited. Write `await "
    "fetch({owner}, {name!r})`, which fetches only what is missing (`from vinyl.orm "
    "import fetch`), or leave out `await`."
)
_DESCRIPTORS = (
    ForwardManyToOneDescriptor,
    ReverseOneToOneDescriptor,
    DeferredAttribute,
)
_UNKNOWN: Any = object()


def note_awaited_value(error: BaseException | None) -> None:
    """
    Add a note to *error* if it comes from awaiting a lazy attribute that had already
    been fetched. Errors in a group and causes get their note as well.

    Never switches.
    """
    seen: set[int] = set()
    errors = [error]
    while errors:
        error = errors.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        errors += [error.__cause__, error.__context__]
        if isinstance(error, BaseExceptionGroup):
            errors += error.exceptions
        if type(error) is TypeError and not hasattr(error, "__notes__"):
            if (note := _note_on(error)) is not None:
                error.add_note(note)


def _note_on(error: TypeError) -> str | None:
    message = _MESSAGES.fullmatch(str(error))
    if message is None:
        return None
    own, directly = None, False
    traceback = error.__traceback__
    while traceback is not None:
        if directly := is_own(traceback.tb_frame.f_code.co_filename):
            own = traceback
        traceback = traceback.tb_next
    if own is None:
        return None
    kind = message["before"] or message["since"]
    expression = _expression(own.tb_frame.f_code, own.tb_lasti)
    asked: list[Any] = []
    if isinstance(expression, ast.Await):
        # The operand of `await` itself, not a part of it.
        asked = [expression.value]
        expression = expression.value
    if not directly:
        # The value was passed to asyncio, as in gather().
        asked = getattr(expression, "args", [])
    for node in asked:
        if isinstance(node, ast.Attribute):
            owner = _value(node.value, own.tb_frame)
            if _is_there(owner, node.attr, kind):
                return _NOTE.format(
                    text=ast.unparse(node),
                    owner=ast.unparse(node.value),
                    name=node.attr,
                )
    return None


def _expression(code: CodeType, lasti: int) -> ast.expr | None:
    """The expression in the source that the instruction at *lasti* belongs to."""
    position = next(islice(code.co_positions(), lasti // 2, None), (None,) * 4)
    first, last, start, end = position
    if first is None or last is None or start is None or end is None:
        # Python was told not to keep positions.
        return None
    lines = [
        line.encode() for line in linecache.getlines(code.co_filename)[first - 1 : last]
    ]
    if not lines:
        return None
    # In this order, because the two may be the same line.
    lines[-1] = lines[-1][:end]
    lines[0] = lines[0][start:]
    try:
        source = b"".join(lines).decode()
        return ast.parse(f"({source})", mode="eval").body
    except (SyntaxError, ValueError):
        # The file has changed since it was imported.
        return None


def _value(node: ast.expr, frame: FrameType) -> Any:
    """The value of *node* in *frame*, found without running code."""
    match node:
        case ast.Name(id=name):
            return frame.f_locals.get(name, frame.f_globals.get(name, _UNKNOWN))
        case ast.Attribute(value=inner, attr=name):
            owner = _value(inner, frame)
            if isinstance(owner, Model) and name in owner._state.fields_cache:
                return owner._state.fields_cache[name]
            return getattr(owner, "__dict__", {}).get(name, _UNKNOWN)
    return _UNKNOWN


def _is_there(owner: Any, name: str, kind: str | None) -> bool:
    """
    Whether *name* is a lazy attribute of *owner* that has been fetched or, if the owner
    is not known, is likely to be.

    Args:
        kind: The name of the value's type, if the message has it.
    """
    if isinstance(owner, Model):
        held = {**vars(owner), **owner._state.fields_cache}
        if name not in held or not _is_lazy(type(owner), name):
            return False
        return kind is None or type(held[name]).__name__ == kind.rpartition(".")[2]
    if owner is not _UNKNOWN or kind is None or not apps.models_ready:
        return False
    return any(
        _is_lazy(model, name) and _leads_to(model, name, kind)
        for model in apps.get_models()
    )


def _is_lazy(model: type[Model], name: str) -> bool:
    descriptor = inspect.getattr_static(model, name, None)
    generic = [field.name for field in model._meta.private_fields]
    return isinstance(descriptor, _DESCRIPTORS) or name in generic


def _leads_to(model: type[Model], name: str, kind: str) -> bool:
    """Whether the relation *name* of *model* leads to a type named *kind*."""
    descriptor: Any = inspect.getattr_static(model, name)
    match descriptor:
        case ForwardManyToOneDescriptor():
            field = descriptor.field
            return kind in _names(field.related_model) or (
                kind == "NoneType" and field.null
            )
        case ReverseOneToOneDescriptor():
            return kind in _names(descriptor.related.related_model)
    return False


def _names(model: Any) -> set[str]:
    """The names that the type of its objects may have: subclasses count, too."""
    return {model.__name__, *(sub.__name__ for sub in model.__subclasses__())}
