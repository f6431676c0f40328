"""
Find missing awaits in the source of an `async def`: calls and attributes of the ORM, of
forms and of requests.

uses.py finds the expressions that are used as values, and inference.py their types.
Only mistakes that are certain are reported: most others raise an error or a warning
when they run, and false positives make people turn the check off.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from vinyl.orm.lint.inference import Places, Scope, names_in, place_of
from vinyl.orm.lint.sources import ANY, SAVING, Thing
from vinyl.orm.lint.uses import TRUTH, Use, uses_in
from vinyl.records import NamedTuple

__all__ = ["Forgotten", "find"]

# Code that runs later, perhaps in the bridge.
_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp)
# Longer chains of attributes are ignored.
_LONGEST_CHAIN = 6
# Functions that fetch the attributes that they are given by name.
_FETCHING = {"aprefetch_related_objects", "fetch", "prefetch_related_objects"}
# Decorators from these modules do not fetch the user.
_HARMLESS = (
    "django.db.transaction",
    "django.views.decorators.",
    "vinyl.web.decorators",
)
# Attributes of a session that need it to be loaded.
_LOADING = {
    f".{name}"
    for name in set(dir(SessionBase)) - SAVING
    if hasattr(SessionBase, f"a{name}")
}


class Forgotten(NamedTuple):
    """
    An expression that is used without the `await` that it needs.

    Args:
        node: The expression.
        kind: "call"; "queryset", whose rows are used; "atomic"; "tested", a lazy
            attribute in a test that cannot raise; or "lazy", a lazy attribute that is
            used.
        function: The name of the `async def` that uses it.
        remedy: The corrected code, with {} for the expression.
    """

    node: ast.expr
    kind: str
    function: str
    remedy: str


def find(source: str, module: str, package: str) -> list[Forgotten]:
    """
    Return the missing awaits in *source*, from top to bottom.

    Args:
        source: The text of the module.
        module: The name of the module.
        package: The name of the package that it is in.

    Raises:
        MemoryError, RecursionError, SyntaxError, ValueError: *source* cannot be parsed.

    Never switches.
    """
    with warnings.catch_warnings(action="ignore"):
        # Python shows syntax warnings when it imports the module.
        nodes = list(ast.walk(ast.parse(source)))
    names = names_in(nodes, module, package)
    found: list[Forgotten] = []
    for parent in nodes:
        owner = _owner(parent, names) if isinstance(parent, ast.ClassDef) else None
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.AsyncFunctionDef):
                found += _find_in(node, names, owner)
    return sorted(found, key=lambda it: (it.node.lineno, it.node.col_offset))


def _find_in(
    function: ast.AsyncFunctionDef, names: dict[str, Any], owner: Thing | None
) -> Iterator[Forgotten]:
    """
    Yield the missing awaits in *function*, a method of *owner* if that is not None.
    """
    nodes = list(_walk(function))
    uses = [use for node in nodes for use in uses_in(node) if _is_short(use.node)]
    passed_on = _passed_on(function, uses)
    scope = Scope(names, owner, passed_on, guarded=_is_guarded(function, names))
    for node in nodes:
        scope.enter(node)
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                if name not in passed_on:
                    uses.append(Use(call, "alone"))
    reported = set()
    for use in uses:
        wrong = _wrong(use, scope)
        if wrong and (place := (*place_of(use.node), wrong[0])) not in reported:
            reported.add(place)
            yield Forgotten(use.node, wrong[0], function.name, wrong[1])


def _wrong(use: Use, scope: Scope) -> tuple[str, str] | None:
    """The kind of mistake and the corrected code, or None if *use* is correct."""
    node, way, remedy, queryset = use
    thing = scope.thing(node)
    if thing is None or not thing.sure:
        return None
    if queryset is not None:
        taker = scope.thing(queryset)
        if not taker or taker.kind not in ("queryset", "manager"):
            return None
    match thing.kind:
        case "call" if isinstance(node, ast.Name):
            # A variable that holds a call only in some cases may be tested by `is`. If
            # the variable is not passed on, the call is reported where it is made.
            if way not in ("is", "tested") and node.id in scope.passed_on:
                return "call", "`await {}`"
        case "call":
            return "call", "`await {}`"
        case "queryset" if way == "rows":
            return "queryset", remedy
        case "atomic" if way == "with":
            return "atomic", "`async with {}`"
        case "session" if way not in ("rows", "value", *_LOADING):
            return None
        case "session" if remedy == TRUTH:
            return None
        case "user" if way == "is":
            return None
        case "object" | "value" if thing.lazy and way in ("is", "tested"):
            return "tested", _to_test(node, way, thing)
        case _ if thing.lazy == "surely" and way not in ("alone", "with"):
            return "lazy", f"`(await {{}}){way}`" if "." in way else "`await {}`"
    return None


def _to_test(node: ast.expr, way: str, thing: Thing) -> str:
    """The corrected code for *node*, a lazy attribute that is tested."""
    if not isinstance(node, ast.Attribute):
        return "`await {}`"
    owner = ast.unparse(node.value)
    fetched = f"`await fetch({owner}, {node.attr!r})`"
    remedy = "`await {}`" if thing.lazy == "surely" else fetched
    if way == "is" and thing.key:
        return f"{remedy}, or test `{owner}.{thing.key}`, which needs no query"
    return remedy


def _passed_on(function: ast.AsyncFunctionDef, uses: list[Use]) -> Places:
    """Where variables and attributes are first passed on; see `Scope`."""
    places: Places = {}

    def note(key: str, place: tuple[int, int]) -> None:
        places[key] = min(place, places.get(key, place))

    # A method called `create` may not be the ORM's.
    used = {id(use.node) for use in uses if use.way != "argument"}
    loops = []
    ends = dict(_ends_of_comprehensions(function))
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if id(node) not in used:
                note(name, ends.get(id(node), place_of(node)))
            case ast.Attribute(attr=name, ctx=ctx):
                if id(node) not in used or not isinstance(ctx, ast.Load):
                    note(f".{name}", ends.get(id(node), place_of(node)))
            case ast.Global(names=shared) | ast.Nonlocal(names=shared):
                places.update(dict.fromkeys(shared, (0, 0)))
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
                name in _FETCHING
            ):
                for arg in node.args:
                    if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                        for part in arg.value.split("__"):
                            note(f".{part}", place_of(node))
            case (
                ast.For(target=ast.Name(id=name), iter=ast.Name(id=rows))
                | ast.AsyncFor(target=ast.Name(id=name), iter=ast.Name(id=rows))
                | ast.comprehension(target=ast.Name(id=name), iter=ast.Name(id=rows))
            ):
                loops.append((name, rows))
    for name, rows in loops:
        if name in places:
            note(f"{rows}[]", places[name])
    return places


def _ends_of_comprehensions(
    function: ast.AsyncFunctionDef,
) -> Iterator[tuple[int, tuple[int, int]]]:
    """The ids of the nodes in the results of comprehensions, and where those end."""
    for node in ast.walk(function):
        match node:
            case ast.ListComp(elt=elt) | ast.SetComp(elt=elt):
                results = [elt]
            case ast.DictComp(key=key, value=value):
                results = [key, value]
            case _:
                continue
        end = node.end_lineno or 0, node.end_col_offset or 0
        yield from ((id(part), end) for each in results for part in ast.walk(each))


def _owner(cls: ast.ClassDef, names: dict[str, Any]) -> Thing | None:
    """The type of `self` in the methods of *cls*."""
    scope = Scope(names, None, {}, guarded=False)
    known = names.get(cls.name)
    if known is not None:
        bases = [known]
    else:
        bases = [scope.resolve(base) for base in cls.bases]
    things = [thing for base in bases if (thing := Thing.made_by(base))]
    if not things:
        return None
    if things[0].kind == "view":
        guarded = bool(cls.decorator_list) or any(map(_asks_for_user, bases))
        return Thing("view", fetched=ANY if guarded else frozenset())
    return things[0]._replace(given=True) if known is not None else None


def _asks_for_user(view: Any) -> bool:
    """Whether *view*, a class, may fetch the user before it calls its handler."""
    if not issubclass(type(view), type):
        return True
    return any(base.__name__ == "AccessMixin" for base in view.__mro__) or any(
        not inspect.unwrap(method).__module__.startswith("django.")
        for name in ("dispatch", "setup")
        if (method := getattr(view, name, None))
    )


def _is_guarded(function: ast.AsyncFunctionDef, names: dict[str, Any]) -> bool:
    """Whether the user may have been fetched before *function* is called."""
    middleware = getattr(settings, "MIDDLEWARE", ())
    if any(str(name).endswith("LoginRequiredMiddleware") for name in middleware):
        return True
    scope = Scope(names, None, {}, guarded=False)
    for node in function.decorator_list:
        decorator = scope.resolve(node.func if isinstance(node, ast.Call) else node)
        known = type(decorator) is FunctionType
        if not known or not decorator.__module__.startswith(_HARMLESS):
            return True
    return False


def _is_short(node: ast.expr) -> bool:
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(node, ast.Attribute):
            return True
        node = node.value
    return False


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """*node* and what runs with it, in the order of the source."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _LATER):
            yield from _walk(child)
