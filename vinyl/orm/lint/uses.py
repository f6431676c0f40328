"""
Which expressions in source code are used as values, and in which way.

The ways:
    "value": the value itself is needed, but a queryset may be lazy (`==`, an index)
    "rows": a queryset needs its rows
    "alone": a statement of its own
    "is": an identity test
    "tested": another test that an object cannot refuse (`isinstance()`, `match`)
    "with": a `with` statement
    "argument": an argument of a method of a queryset
    ".name": the attribute `name` is read
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from vinyl.bridge.calls import Call
from vinyl.orm.lint.inference import attribute_asked_for
from vinyl.records import NamedTuple

__all__ = ["TRUTH", "Use", "uses_in"]

TRUTH = "`await {}.exists()`"
_AWAIT = "`await {}`"
_LOOP = "`async for`"
# Builtins that iterate over their argument.
_CONSUMERS = set("bool dict enumerate len list max min set sorted sum tuple".split())
# Functions that turn their arguments into text, or into JSON.
_WRITERS = {"format", "print", "str"}
_JSON = {"JSONResponse", "JsonResponse", "dumps"}
# Functions that look at an object's class or attributes.
_LOOKING = {"getattr", "hasattr", "isinstance", "type"}
# Methods of a queryset that take values as keyword arguments.
_TAKING_VALUES = set(
    "create exclude filter get get_or_create update update_or_create".split()
)


class Use(NamedTuple):
    """
    A use of an expression.

    Args:
        node: The expression.
        way: How it is used; see above.
        remedy: The corrected code for a queryset that needs its rows, with {} for it.
        queryset: The queryset whose method it is an argument of.
    """

    node: ast.expr
    way: str
    remedy: str = _AWAIT
    queryset: ast.expr | None = None


def uses_in(node: ast.AST) -> Iterator[Use]:
    """The expressions that *node* itself uses as values."""
    for use in _uses(node):
        value = use.node
        while isinstance(value, ast.BoolOp | ast.NamedExpr):
            value = value.value if hasattr(value, "value") else value.values[-1]
        yield use._replace(node=value)


def _uses(node: ast.AST) -> Iterator[Use]:
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            yield Use(node.test, "rows", TRUTH)
        case ast.UnaryOp(op=ast.Not()):
            yield Use(node.operand, "rows", TRUTH)
        case ast.BoolOp(values=[*tested, _]):
            # The last value is not tested, but may be the result.
            yield from (Use(value, "rows", TRUTH) for value in tested)
        case ast.comprehension(ifs=tests):
            yield from (Use(test, "rows", TRUTH) for test in tests)
            if not node.is_async:
                yield Use(node.iter, "rows", _LOOP)
        case ast.For():
            yield Use(node.iter, "rows", _LOOP)
        case ast.Call():
            yield from _of_call(node)
        case ast.Starred(ctx=ast.Load()) | ast.Assign(targets=[ast.Tuple()]):
            yield Use(node.value, "rows")
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot(), *_]):
            yield Use(left, "is")
            yield Use(node.comparators[0], "is")
        case ast.Compare(left=left, ops=[op, *_], comparators=[right, *_]):
            yield Use(left, "value")
            yield Use(right, "rows" if isinstance(op, ast.In | ast.NotIn) else "value")
        case ast.BinOp(op=ast.Mod(), left=left, right=right) if _is_text(left):
            parts = right.elts if isinstance(right, ast.Tuple) else [right]
            yield from (Use(part, "rows") for part in parts)
        case ast.BinOp(left=left, right=right):
            yield from (Use(left, "value"), Use(right, "value"))
        case ast.FormattedValue(value=value, conversion=conversion):
            shown = conversion in (ord("r"), ord("a"))
            yield Use(value, "alone" if shown else "rows")
        case ast.Expr():
            yield Use(node.value, "alone")
        case ast.AugAssign():
            yield Use(node.value, "value")
        case ast.Subscript(value=value, slice=key):
            yield Use(value, "value")
            if not isinstance(key, ast.Slice | ast.Constant):
                yield Use(key, "value")
        case ast.Dict(keys=keys):
            yield from (Use(key, "value") for key in keys if key is not None)
        case ast.Set(elts=items):
            yield from (Use(item, "value") for item in items)
        case ast.Attribute() if not hasattr(Call, node.attr):
            yield Use(node.value, f".{node.attr}")
        case ast.With():
            yield from (
                Use(item.context_expr, "with", "`async with {}`") for item in node.items
            )
        case ast.Match(subject=subject):
            parts = subject.elts if isinstance(subject, ast.Tuple) else [subject]
            yield from (Use(part, "tested") for part in parts)
        case ast.Try(body=body, handlers=[_, *_]):
            # The expression is only evaluated to see whether it raises.
            for statement in body:
                if isinstance(statement, ast.Expr):
                    yield Use(statement.value, "tested")


def _of_call(call: ast.Call) -> Iterator[Use]:
    match call:
        case ast.Call(func=ast.Name(id=name), args=[value, *_]) if name in _CONSUMERS:
            yield Use(value, "rows", f"`{name}(await {{}})`")
        case ast.Call(func=ast.Name(id=name), args=[value, *_]) if name in _LOOKING:
            attribute = attribute_asked_for(call)
            yield Use(value, f".{attribute.attr}" if attribute else "tested")
            if attribute and name == "hasattr":
                yield Use(attribute, "tested")
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
            name in _JSON
        ):
            given = [*call.args[:1], *(keyword.value for keyword in call.keywords)]
            yield from (Use(part, "rows") for each in given for part in _inside(each))
        case ast.Call(func=ast.Name(id=name), args=values) if name in _WRITERS:
            yield from (Use(value, "rows") for value in values)
        case ast.Call(func=ast.Attribute(value=value, attr=name)):
            if name == "format" and _is_text(value):
                yield from (Use(arg, "rows") for arg in call.args)
            elif name in _TAKING_VALUES:
                for keyword in call.keywords:
                    yield Use(keyword.value, "argument", queryset=value)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _inside(node: ast.expr | None) -> Iterator[ast.expr]:
    """The items of *node* if it is a dict, a list or a tuple; else *node*."""
    match node:
        case ast.Dict(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _inside(part)
        case ast.expr():
            yield node
