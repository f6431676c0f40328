"""
A reader of source code, which finds what an `async def` forgets to await of the ORM.

`_uses` tells which expressions are used as values, and `inference.Scope` what they are.
A miss still raises or warns when it runs; a false alarm makes people turn the check
off. So where it is not plain that the ORM is meant, nothing is said.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

from vinyl.orm.calls import Call
from vinyl.orm.inference import Scope, Thing, names_in

__all__ = ["Forgotten", "find"]

# Builtins that go through their argument at once.
_CONSUMERS = set("bool dict enumerate len list max min set sorted sum tuple".split())
# What runs later and perhaps elsewhere, such as in the bridge.
_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp)


class Forgotten(NamedTuple):
    """
    An expression that is used without the `await` that it needs.

    Args:
        node: The expression.
        kind: "call", "queryset" (whose rows are used) or "atomic".
        function: The name of the `async def` that uses it.
        remedy: What to write, with {} for the expression.
    """

    node: ast.expr
    kind: str
    function: str
    remedy: str


def find(source: str, module: str, package: str) -> list[Forgotten]:
    """
    Return what *source* forgets to await, from top to bottom.

    Args:
        source: The text of *module*, which is in *package*.

    Raises:
        MemoryError, RecursionError, SyntaxError, ValueError: It cannot be parsed.
    """
    with warnings.catch_warnings(action="ignore"):
        # Python gives its warnings when it imports the module.
        nodes = list(ast.walk(ast.parse(source)))
    names = names_in(nodes, module, package)
    found: list[Forgotten] = []
    for parent in nodes:
        owner = names.get(parent.name) if isinstance(parent, ast.ClassDef) else None
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.AsyncFunctionDef):
                found += _find_in(node, names, owner)
    return sorted(found, key=lambda it: (it.node.lineno, it.node.col_offset))


def _find_in(
    function: ast.AsyncFunctionDef, names: dict[str, Any], owner: Any
) -> Iterator[Forgotten]:
    """What *function* forgets, which is a method of *owner* unless that is None."""
    nodes = list(_walk(function))
    uses: dict[int, tuple[ast.expr, str]] = {}
    for node in nodes:
        for value, remedy in _uses(node):
            while isinstance(value, ast.BoolOp | ast.NamedExpr):
                value = value.value if hasattr(value, "value") else value.values[-1]
            # Where a queryset will do, nothing but a call is wrong, and each link of a
            # long chain of attributes need not be followed to its start.
            if remedy or isinstance(value, ast.Call | ast.Name):
                uses[id(value)] = value, remedy
    # Where a variable is first awaited, or given to other code.
    passed_on: dict[str, tuple[int, int]] = {}
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if id(node) not in uses:
                place = node.lineno, node.col_offset
                passed_on[name] = min(place, passed_on.get(name, place))
            case ast.Global(names=shared) | ast.Nonlocal(names=shared):
                passed_on.update(dict.fromkeys(shared, (0, 0)))
    scope = Scope(names, owner, passed_on)
    for node in nodes:
        scope.enter(node)
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                if name not in passed_on:
                    uses[id(call)] = call, ""
    for value, remedy in uses.values():
        match scope.thing(value):
            case Thing("call", sure=True):
                # One in a variable that is not passed on is told of where it is made.
                if not isinstance(value, ast.Name) or value.id in passed_on:
                    yield Forgotten(value, "call", function.name, "`await {}`")
            case Thing("queryset" | "atomic" as kind, sure=True) if remedy:
                yield Forgotten(value, kind, function.name, remedy)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """*node* and what runs with it, in the order of the source."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _LATER):
            yield from _walk(child)


def _uses(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """
    The expressions that *node* itself uses as values, each with what to write for a
    queryset: nothing, if one that is not awaited will do.
    """
    truth = "`await {}.exists()`"
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            yield node.test, truth
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand, truth
        case ast.BoolOp(values=[*tested, _]):
            # The last one is what it gives.
            yield from ((value, truth) for value in tested)
        case ast.comprehension(ifs=tests):
            yield from ((test, truth) for test in tests)
            if not node.is_async:
                yield node.iter, "`async for`"
        case ast.For():
            yield node.iter, "`async for`"
        case ast.Call(func=ast.Name(id=name), args=[value, *_]) if name in _CONSUMERS:
            yield value, f"`{name}(await {{}})`"
        case ast.Starred(ctx=ast.Load()) | ast.Assign(targets=[ast.Tuple()]):
            yield node.value, "`await {}`"
        case ast.Compare(left=ast.Name(), ops=[ast.Is() | ast.IsNot()]):
            # A call that is made in some cases only may be asked for like this.
            return
        case ast.Compare(left=left, ops=[op, *_], comparators=[right, *_]):
            yield left, ""
            yield right, "`await {}`" if isinstance(op, ast.In | ast.NotIn) else ""
        case ast.BinOp(left=left, right=right):
            yield from ((left, ""), (right, ""))
        case ast.Expr() | ast.AugAssign() | ast.FormattedValue() | ast.Subscript():
            yield node.value, ""
        case ast.Attribute() if not hasattr(Call, node.attr):
            yield node.value, ""
        case ast.With():
            yield from ((item.context_expr, "`async with {}`") for item in node.items)
