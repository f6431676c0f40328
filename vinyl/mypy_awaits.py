"""
What vinyl.mypy_plugin does about a forgotten `await`: in `async def` functions, a
dual-mode call returns a coroutine and nothing else, so that mypy reports each use of it
as a value. Plain functions, lambdas too, may run in sync mode and keep `Dual`.
"""

from __future__ import annotations

import ast
import configparser
import os
import tomllib
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from mypy.checker import TypeChecker
from mypy.errorcodes import ErrorCode
from mypy.messages import format_type
from mypy.nodes import Decorator, FuncBase, FuncDef, TypeInfo, Var
from mypy.plugin import FunctionContext, MethodContext, Plugin
from mypy.types import (
    AnyType,
    FunctionLike,
    Instance,
    ProperType,
    Type,
    TypeOfAny,
    UnionType,
    get_proper_type,
)
from mypy_django_plugin.config import exit_with_error

__all__ = [
    "DUAL",
    "MISSING_AWAIT",
    "RequireAwait",
    "find_value",
    "is_await_required",
    "returns_dual",
]

DUAL = "vinyl.bridge.calls.Dual"
MISSING_AWAIT = ErrorCode(
    "missing-await", "A dual-mode call is used as a value in async code", "vinyl"
)

# Functions that take everything: of Python, and those of vinyl.web with Any in them.
_FORMATTING = frozenset({"bool", "format", "repr", "str"})
_ANSWERING = frozenset({"JSONResponse", "render"})
# First and last line, and column, of an expression.
Place: TypeAlias = tuple[int, int, int | None, int | None]
C = TypeVar("C", FunctionContext, MethodContext)


class RequireAwait(Generic[C]):
    """
    What a call returns, with a coroutine in place of `Dual` inside `async def`.

    Args:
        hook: What other plugins make of the call.
    """

    def __init__(self, hook: Callable[[C], Type] | None) -> None:
        self.hook: Callable[[C], Type] | None = hook

    def __call__(self, ctx: C) -> Type:
        given = self.hook(ctx) if self.hook else ctx.default_return_type
        if (value := find_value(given)) is None:
            return given
        assert isinstance(ctx.api, TypeChecker)
        function = ctx.api.scope.current_function()
        if not isinstance(function, FuncDef) or not function.is_coroutine:
            return given
        expected = _items_of(ctx.api.type_context[-1])
        if any(map(_is_dual, expected)):
            return given
        node = ctx.context
        place = node.line, node.column, node.end_line, node.end_column
        if place in find_uses(ctx.api.path) or any(map(_is_object, expected)):
            ctx.api.fail(
                "This call returns a coroutine in async code, and "
                f"{format_type(value, ctx.api.options)} when awaited. "
                'Write "await" before it',
                node,
                code=MISSING_AWAIT,
            )
            return value
        # mypy reports this very class where nothing is done with the result.
        unknown = AnyType(TypeOfAny.special_form)
        return ctx.api.named_generic_type("typing.Coroutine", [unknown, unknown, value])


def find_value(given: Type) -> Type | None:
    """
    Return the T if *given* is `Dual[T]`, or `Dual[T] | Any`, which methods return whose
    overrides may be plain; None for other types. Never switches.
    """
    match [item for item in _items_of(given) if not isinstance(item, AnyType)]:
        case [Instance() as dual] if _is_dual(dual):
            return dual.args[0]
    return None


def returns_dual(plugin: Plugin, fullname: str) -> bool:
    """
    Return whether the function or method *fullname* may return a `Dual`.

    Args:
        plugin: Finds what mypy knows of the name.
        fullname: With the class that a method is called on, which may inherit it.

    Never switches.
    """
    owner_name, _, name = fullname.rpartition(".")
    if not owner_name:  # defined in a function, where a plugin cannot look
        return True
    owner = plugin.lookup_fully_qualified(owner_name)
    if owner and isinstance(owner.node, TypeInfo):
        symbol = owner.node.get(name)
    else:
        symbol = plugin.lookup_fully_qualified(fullname)
    node = symbol.node if symbol else None
    if isinstance(node, Decorator):
        node = node.var
    declared = node.type if isinstance(node, FuncBase | Var) else None
    kind = get_proper_type(declared)
    if isinstance(kind, FunctionLike):
        return any(find_value(item.ret_type) is not None for item in kind.items)
    # What django-stubs copies from a queryset to a manager is resolved at each call.
    return isinstance(kind, AnyType)


def _items_of(given: Type | None) -> list[ProperType | None]:
    proper = get_proper_type(given)
    items = proper.items if isinstance(proper, UnionType) else [proper]
    return [get_proper_type(item) for item in items]


def _is_dual(given: ProperType | None) -> bool:
    return isinstance(given, Instance) and given.type.fullname == DUAL


def _is_object(given: ProperType | None) -> bool:
    """Whether *given* takes everything, but lets nobody await it, as print() does."""
    return isinstance(given, Instance) and given.type.fullname == "builtins.object"


def find_uses(path: str) -> frozenset[Place]:
    """
    Return where the module at *path* tests, compares, calculates with or formats a
    value, or puts it into a response: there mypy takes objects of any type, or does not
    name the missing `await`.
    """
    try:
        status = os.stat(path)
        return _find_uses(path, status.st_mtime_ns, status.st_size)
    except (OSError, SyntaxError):  # not a file, or edited since mypy read it
        return frozenset()


@lru_cache(maxsize=1)
def _find_uses(path: str, *version: int) -> frozenset[Place]:
    found = set()

    def use(*expressions: ast.expr) -> None:
        for each in expressions:
            if isinstance(each, ast.NamedExpr):
                use(each.value)
            elif isinstance(each, ast.BoolOp):
                use(each.values[-1])  # the walk comes to the others
            else:
                end = each.end_lineno, each.end_col_offset
                found.add((each.lineno, each.col_offset, *end))

    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        match node:
            case ast.If() | ast.While() | ast.Assert() | ast.IfExp():
                use(node.test)
            case ast.match_case(guard=ast.expr() as guard):
                use(guard)
            case ast.comprehension():
                use(*node.ifs)
            case ast.BoolOp():
                use(*node.values[:-1])
            case ast.UnaryOp():
                use(node.operand)
            case ast.BinOp():
                use(node.left, node.right)
            case ast.Compare():
                use(node.left, *node.comparators)
            case ast.FormattedValue():
                use(node.value)
            case ast.Call(func=ast.Name(id=name)) if name in _FORMATTING:
                use(*node.args)
            case ast.Call(func=ast.Name(id=name)) if name in _ANSWERING:
                for value in [*node.args, *(each.value for each in node.keywords)]:
                    use(*_values_in(value))
    return frozenset(found)


def _values_in(given: ast.expr) -> Iterator[ast.expr]:
    """*given*, or the values in the display of a dict, list, set or tuple."""
    match given:
        case ast.Dict():
            inner = given.values
        case ast.List() | ast.Set() | ast.Tuple():
            inner = given.elts
        case _:
            yield given
            return
    for each in inner:
        yield from _values_in(each)


def is_await_required(config_file: str | None) -> bool:
    """
    Return `require_await` of the section of django-stubs in mypy's configuration.

    Args:
        config_file: An INI file, or a `pyproject.toml`.

    Raises:
        SystemExit: The setting is not a boolean.

    Never switches.
    """
    value: Any
    path = Path(config_file or "")
    if path.suffix == ".toml":
        tool = tomllib.loads(path.read_text("utf-8")).get("tool", {})
        value = tool.get("django-stubs", {}).get("require_await", True)
    else:
        parser = configparser.ConfigParser()
        parser.read(path, encoding="utf-8")
        section = "mypy.plugins.django-stubs"
        value = parser.get(section, "require_await", fallback="true").strip().lower()
        value = parser.BOOLEAN_STATES.get(value, value)
    if not isinstance(value, bool):
        exit_with_error(
            f"require_await is {value!r} in the section of django-stubs. It says "
            "whether dual-mode calls in async functions have to be awaited. Set it to "
            "true or false."
        )
    return value
