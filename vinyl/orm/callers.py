"""
What the calling code does with a dual-mode call, read from its frame.

A call that nobody awaits does nothing. Two mistakes can be seen where it is made,
before there is a coroutine:

- The next instruction drops the result, as that of a statement `album.save()` does.
- The caller is a plain function of Django or of an installed package. It was written
  for sync code and does not await, so what it does next would be wrong.

A function that only returns the result passes it on, and its own caller is looked at.
Where the bytecode does not tell for certain, nothing is refused: Python warns of a
coroutine that was never awaited, and a `Call` raises when it is used as a value.
"""

from __future__ import annotations

import builtins
import dis
import functools
import inspect
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    MethodDescriptorType,
    MethodType,
)
from typing import Any, NoReturn

import django
from django.conf import settings

import vinyl
from vinyl.exceptions import NotAwaitedError

__all__ = ["refuse_lost"]

DROPPED, RETURNED, KEPT = "dropped", "returned", "kept"
VINYL, DJANGO, PACKAGE, PYTHON, PROJECT = "vinyl", "django", "package", "python", "own"

# Verdicts are kept for this many places in code.
MAX_SITES = 10_000

_CALLS = ("CALL", "CALL_KW", "CALL_FUNCTION_EX")
_CACHE = dis.opmap["CACHE"]
_ASYNC = (
    inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
)
# These run as a part of the function around them.
_INNER = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>")
# Plain code that uses one of these names knows what to do with a coroutine.
_AWAITING = frozenset(
    "Awaitable Coroutine CoroutineType __await__ create_task ensure_future gather "
    "is_awaitable isawaitable iscoroutine run_coroutine_threadsafe".split()
)


class Site:
    """
    A place in code where a call is made.

    Args:
        code: The code. Kept, so that no other code gets its id while the site is known.
        last: The offset of the calling instruction, or of a cache entry of it.
    """

    def __init__(self, code: CodeType, last: int) -> None:
        self.code = code
        self.owner = owner_of(code.co_filename)
        self.is_async = bool(code.co_flags & _ASYNC)
        texts = [const for const in code.co_consts if isinstance(const, str)]
        names = {*code.co_names, *code.co_varnames, *code.co_freevars, *texts}
        # Whether it can be expected to await.
        self.awaits = (
            self.is_async
            or self.owner not in (DJANGO, PACKAGE)
            or not names.isdisjoint(_AWAITING)
        )
        raw = code.co_code
        following = last + 2
        while raw[following] == _CACHE:
            following += 2
        while raw[last] == _CACHE:
            last -= 2
        self.fate = KEPT
        self.calls_directly = False
        # What is called: the name of an attribute or of a variable, if it is one; and
        # of the variable whose attribute it is.
        self.attribute = self.variable = self.of_variable = ""
        if dis.opname[raw[following]] in _ENDS:
            self._look(last, following)
        # Nothing is refused at most places; here that is known at once.
        self.is_fine = self.fate == KEPT and self.awaits

    def _look(self, last: int, following: int) -> None:
        code = list(dis.get_instructions(self.code))
        index = {one.offset: i for i, one in enumerate(code)}
        at, after = index[last], index[following]
        call = code[at]
        subscript = call.opname == "BINARY_SUBSCR" or (
            call.opname == "BINARY_OP" and call.argrepr == "[]"
        )
        self.calls_directly = subscript or call.opname in _CALLS
        if code[after].opname == "JUMP_FORWARD":
            after = index[code[after].argval]
        if code[after].opname == "POP_TOP":
            if self.calls_directly:
                self.fate = DROPPED
        elif not self.is_async and _returns(code, after):
            if self.calls_directly or call.opname == "LOAD_ATTR":
                self.fate = RETURNED
        if subscript:
            self.attribute = "__getitem__"
        elif self.fate != KEPT:
            self._find_callee(code, at)

    def _find_callee(self, code: list[dis.Instruction], at: int) -> None:
        """
        Note what the instruction *at* calls: the last one before it that begins at
        the same place in the source and ends sooner is what loads it.
        """
        start, end = _range(code[at])
        if start is None:
            return
        before = [
            one
            for one in code[:at]
            if one.opname not in _BESIDE
            and _range(one)[0] == start
            and _range(one)[1] != end
        ]
        match [_named(one) for one in before[-2:]]:
            case [*others, ("attribute", name)]:
                self.attribute = name
                if others and others[0][0] == "variable":
                    self.of_variable = others[0][1]
            case [*_, ("variable", name)]:
                self.variable = name

    def is_call_of(
        self, frame: FrameType, dual: Callable, passed: CodeType | None
    ) -> bool:
        """
        Whether *frame*, which is here, calls *dual* itself, or the function whose code
        *passed* returned what it got; and not something in C that calls it in turn,
        as `tasks.extend(map(Album.save, albums))` does.
        """
        if self.attribute:
            if self.attribute not in (dual.__name__, passed and passed.co_name):
                return False
            if not self.of_variable:
                return True
            cls = type(_value(frame, self.of_variable))
            method = inspect.getattr_static(cls, self.attribute, None)
            return not isinstance(method, MethodDescriptorType)
        called = _value(frame, self.variable) if self.variable else None
        while isinstance(called, functools.partial | MethodType):
            called = getattr(called, "func", None) or getattr(called, "__func__", None)
        if called is None:
            return False
        return called is dual or getattr(called, "__code__", self) is passed

    def is_use(self, frame: FrameType) -> bool:
        """Whether *frame* gives the result to a function or class written in C."""
        called = _value(frame, self.variable) if self.variable else None
        return isinstance(called, BuiltinFunctionType | type) and not any(
            called is one for one in _PASSING
        )


# Functions in C that return what they were given.
_PASSING = (getattr, next)
# What may come after a call whose result is dropped or returned.
_ENDS = frozenset(
    "JUMP_FORWARD POP_TOP RETURN_VALUE STORE_FAST STORE_FAST_LOAD_FAST SWAP "
    "YIELD_VALUE".split()
)
# What stands beside the callee, and is none.
_BESIDE = ("KW_NAMES", "LOAD_CONST", "PUSH_NULL")


def _returns(code: list[dis.Instruction], after: int) -> bool:
    """Whether a plain function only returns or yields what it has at *after*."""
    # A loop that is left drops its iterator.
    while code[after].opname == "SWAP" and code[after + 1].opname.startswith("POP_"):
        after += 2
    if code[after].opname in ("RETURN_VALUE", "YIELD_VALUE"):
        return True
    if not code[after].opname.startswith("STORE_FAST"):
        return False
    name = _names(code[after])[0]
    loads = [
        i
        for i, one in enumerate(code)
        if "LOAD_FAST" in one.opname and name in _names(one)
    ]
    return bool(loads) and all(code[i + 1].opname == "RETURN_VALUE" for i in loads)


def _names(instruction: dis.Instruction) -> tuple[str, ...]:
    """The variables of *instruction*; from Python 3.13 on it may have two."""
    value = instruction.argval
    return value if isinstance(value, tuple) else (value,)


def _named(instruction: dis.Instruction) -> tuple[str, str]:
    """The kind and name of what *instruction* loads; empty if it has no name."""
    opname = instruction.opname
    if opname in ("LOAD_ATTR", "LOAD_METHOD") or opname.startswith("LOAD_SUPER_"):
        return "attribute", instruction.argval
    if "LOAD_" in opname and opname != "LOAD_CONST":
        name = _names(instruction)[-1]
        if isinstance(name, str):
            return "variable", name
    return "", ""


def _range(instruction: dis.Instruction) -> tuple[Any, Any]:
    """Where *instruction* begins and ends in the source; None if that is not known."""
    where = instruction.positions
    if where is None or where.col_offset is None:
        return None, None
    return (where.lineno, where.col_offset), (where.end_lineno, where.end_col_offset)


def _value(frame: FrameType, name: str) -> Any:
    """What the variable *name* holds in *frame*; None if there is none."""
    for namespace in (frame.f_locals, frame.f_globals, vars(builtins)):
        if name in namespace:
            return namespace[name]
    return None


_sites: dict[tuple[int, int], Site] = {}


def refuse_lost(dual: Callable, name: str, frame: FrameType | None) -> None:
    """
    Raise where it is certain that a call in async mode will not be awaited.

    Args:
        dual: The dual-mode callable.
        name: What the user called, such as `Album.save`.
        frame: The caller's.

    Raises:
        NotAwaitedError: The result would be dropped, or given to sync code of Django
            or of an installed package.

    Never switches.
    """
    passed = None
    # Whether the result surely is what the frames so far have returned; whether only
    # code that is not the project's has returned it; and whether it has been used.
    certain, foreign, used = True, True, False
    while frame is not None:
        code = frame.f_code
        key = id(code), frame.f_lasti
        if (site := _sites.get(key)) is None:
            if len(_sites) >= MAX_SITES:
                _sites.clear()
            site = _sites[key] = Site(code, frame.f_lasti)
        if site.is_fine:
            return
        direct = certain and site.is_call_of(frame, dual, passed)
        if site.fate == DROPPED and direct:
            _refuse_dropped(name, frame, site)
        used = used or (not direct and site.is_use(frame))
        if site.fate == RETURNED and not used:
            # Django's managers call what getattr() gives.
            computed = not (site.attribute or site.variable)
            trusted = site.calls_directly and site.owner in (VINYL, DJANGO)
            certain = direct or (certain and computed and trusted)
            certain = certain and not code.co_flags & inspect.CO_GENERATOR
            foreign = foreign and site.owner != PROJECT
            passed = code
        elif site.awaits or not foreign:
            return
        elif code.co_name in _INNER:
            certain, used = False, True
        else:
            _refuse_foreign(name, frame)
        if not certain and not foreign:
            return
        frame = frame.f_back


def _refuse_dropped(name: str, frame: FrameType, site: Site) -> NoReturn:
    function = frame.f_code.co_qualname
    if site.is_async or site.owner == PROJECT and frame.f_code.co_name == "<module>":
        raise NotAwaitedError(
            f"'{name}' was called on the event loop and its result was dropped, so it "
            f"would never run. Write `await` before the call, or start a task with it: "
            f"`task = asyncio.create_task(...)`."
        )
    if site.owner == PROJECT:
        raise NotAwaitedError(
            f"'{name}' was called on the event loop by {function}(), a plain function, "
            f"which drops its result, so it would never run. Run the function in the "
            f"bridge, `await vinyl.orm.run({frame.f_code.co_name}, ...)`, or make it "
            f"`async def` and write `await` before the call."
        )
    _refuse_foreign(name, frame)


def _refuse_foreign(name: str, frame: FrameType) -> NoReturn:
    code = frame.f_code
    module = frame.f_globals.get("__name__", code.co_filename)
    entry = code
    # What the project's code called, to be run as a whole.
    around: FrameType | None = frame
    while around is not None and not around.f_code.co_flags & _ASYNC:
        if owner_of(around.f_code.co_filename) in (PROJECT, PYTHON):
            break
        entry = around.f_code
        around = around.f_back
    raise NotAwaitedError(
        f"'{name}' was called on the event loop by {code.co_qualname}() of {module}, "
        f"sync code that does not await it. Run the sync code in the bridge: `await "
        f"vinyl.orm.run({entry.co_qualname}, ...)`."
    )


def _folder(module: Any) -> str:
    return f"{Path(module.__file__).parent}/"


_ROOTS = ((_folder(vinyl), VINYL), (_folder(django), DJANGO))
_INSTALLED = ("site-packages", "dist-packages")
_PYTHON = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))


@functools.cache
def owner_of(filename: str) -> str:
    """
    Whose the code in the file *filename* is. The project's is what is nobody else's,
    and the package of the settings or the URLs, wherever it is installed.
    """
    for root, owner in _ROOTS:
        if filename.startswith(root):
            return owner
    parts = Path(filename).parts
    folders = [i for i, part in enumerate(parts[:-1]) if part in _INSTALLED]
    if folders:
        top = parts[folders[-1] + 1].removesuffix(".py")
        return PROJECT if top in _packages_of_project() else PACKAGE
    if filename.startswith((*_PYTHON, "<frozen ")):
        return PYTHON
    return PROJECT


def _packages_of_project() -> set[str]:
    if not settings.configured:
        return set()
    names = ("SETTINGS_MODULE", "ROOT_URLCONF", "ASGI_APPLICATION", "WSGI_APPLICATION")
    modules = [getattr(settings, name, None) or "" for name in names]
    return {module.partition(".")[0] for module in modules}
