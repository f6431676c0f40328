"""
What the calling code does with the result of a call, and who owns that code.

This is read from the bytecode of CPython 3.11 to 3.14: the call instruction, the one
after it, and the source positions of the instructions before it. `co_code` contains
neither specialized instructions of the interpreter nor those added for tracing.
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
from typing import Any

import django
from django.conf import settings

import vinyl

__all__ = [
    "DJANGO",
    "DROPPED",
    "PACKAGE",
    "PROJECT",
    "RETURNED",
    "VINYL",
    "CallInstruction",
    "owner_of",
]

# What happens to the result. It counts as kept if the bytecode does not show it.
DROPPED, RETURNED, KEPT = "dropped", "returned", "kept"
# Who owns the code: vinyl, Django, Python's library, an installed package, the project.
VINYL, DJANGO, PYTHON, PACKAGE, PROJECT = "vinyl django python package project".split()

_ASYNC = (
    inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR
)
# Plain code that uses one of these names can handle a coroutine.
_AWAITING = frozenset(
    "Awaitable Coroutine CoroutineType __await__ create_task ensure_future gather "
    "is_awaitable isawaitable iscoroutine run_coroutine_threadsafe".split()
)
_CACHE = dis.opmap["CACHE"]
_CALLS = ("CALL", "CALL_KW", "CALL_FUNCTION_EX")
# Instructions that may follow a call whose result is dropped or returned.
_ENDS = frozenset(
    "JUMP_FORWARD POP_TOP RETURN_VALUE STORE_FAST STORE_FAST_LOAD_FAST SWAP "
    "YIELD_VALUE".split()
)
# Instructions that load something other than the callee.
_BESIDE = ("KW_NAMES", "LOAD_CONST", "PUSH_NULL")
# Functions in C that return a value they are given.
_PASSING = (getattr, next)


class CallInstruction:
    """
    An instruction that makes a call.

    Args:
        code: The code that contains it. Kept alive, so that its id is not reused while
            the instruction is cached.
        last: The offset of the instruction, or of one of its cache entries.
    """

    def __init__(self, code: CodeType, last: int) -> None:
        self.code = code
        self.owner = owner_of(code.co_filename)
        self.is_async = bool(code.co_flags & _ASYNC)
        self.is_generator = bool(code.co_flags & inspect.CO_GENERATOR)
        # Whether it is sync code of Django or a package, which does not await.
        self.is_foreign = (
            not self.is_async
            and self.owner in (DJANGO, PACKAGE)
            and _AWAITING.isdisjoint(_words(code))
        )
        self.fate = KEPT
        # Whether the result is what the called function returned, and not the result
        # of an operation that calls it internally.
        self.is_direct = False
        # The name of the attribute or variable that is called, if it has one, and of
        # the variable that the attribute belongs to.
        self.attribute = self.variable = self.of_variable = ""
        raw = code.co_code
        following = last + 2
        while raw[following] == _CACHE:
            following += 2
        while raw[last] == _CACHE:
            last -= 2
        if dis.opname[raw[following]] in _ENDS:
            self._look(last, following)
        # Most calls need no further inspection. Nor do those in Django's managers,
        # which return what they got from getattr().
        self.is_fine = self.fate == KEPT and not self.is_foreign
        self.passes_on = (
            self.fate == RETURNED
            and self.is_direct
            and not (self.attribute or self.variable)
            and self.owner in (VINYL, DJANGO)
        )

    def _look(self, last: int, following: int) -> None:
        code = list(dis.get_instructions(self.code))
        index = {one.offset: i for i, one in enumerate(code)}
        at, after = index[last], index[following]
        call = code[at]
        is_index = call.opname == "BINARY_SUBSCR" or call.argrepr == "[]"
        self.is_direct = is_index or call.opname in _CALLS
        if code[after].opname == "JUMP_FORWARD":
            after = index[code[after].argval]
        if code[after].opname == "POP_TOP":
            self.fate = DROPPED if self.is_direct else KEPT
        elif not self.is_async and (self.is_direct or call.opname == "LOAD_ATTR"):
            # An error handler around the call expects errors before the call returns.
            expects = self.is_foreign and self._is_in_try(last)
            if _returns(code, after) and not expects:
                self.fate = RETURNED
                self.is_direct = self.is_direct and not self.is_generator
        if is_index:
            self.attribute = "__getitem__"
        elif self.fate != KEPT:
            self._find_callee(code, at)

    def _is_in_try(self, offset: int) -> bool:
        handlers = getattr(dis.Bytecode(self.code), "exception_entries", ())
        # Python adds a handler around the whole body of a generator.
        return not self.is_generator and any(
            entry.start <= offset < entry.end for entry in handlers
        )

    def _find_callee(self, code: list[dis.Instruction], at: int) -> None:
        """
        Note what the instruction *at* calls. The callee is loaded by the last earlier
        instruction that begins at the same place in the source and ends before it.
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
        match [_loaded(one) for one in before[-2:]]:
            case [("variable", owner), ("attribute", name)]:
                self.attribute, self.of_variable = name, owner
            case [*_, ("attribute", name)]:
                self.attribute = name
            case [*_, ("variable", name)]:
                self.variable = name

    def is_call_of(
        self, frame: FrameType, dual: Callable[..., Any], passed: CodeType | None
    ) -> bool:
        """
        Whether *frame*, which is at this instruction, certainly calls *dual*, or the
        function with the code *passed*, which returns the result of *dual*. False for
        C code that calls it, as in `tasks.extend(map(Album.save, albums))`.
        """
        if not self.is_direct:
            return False
        if self.attribute:
            if self.attribute not in (dual.__name__, passed and passed.co_name):
                return False
            if not self.of_variable:
                return True
            # As inspect.getattr_static() finds it, which takes as long as all the rest.
            for cls in type(_value(frame, self.of_variable)).__mro__:
                if self.attribute in vars(cls):
                    method = vars(cls)[self.attribute]
                    return not isinstance(method, MethodDescriptorType)
            return True
        called = _value(frame, self.variable) if self.variable else None
        while isinstance(called, functools.partial | MethodType):
            called = called.func if hasattr(called, "func") else called.__func__
        return called is dual or (
            passed is not None and getattr(called, "__code__", None) is passed
        )

    def is_use(self, frame: FrameType) -> bool:
        """Whether *frame* passes the result to a function or class written in C."""
        called = _value(frame, self.variable) if self.variable else None
        return isinstance(called, BuiltinFunctionType | type) and not any(
            called is one for one in _PASSING
        )


def _words(code: CodeType) -> set[str]:
    """The names and strings that *code* uses."""
    texts = (const for const in code.co_consts if isinstance(const, str))
    return {*code.co_names, *code.co_varnames, *code.co_freevars, *texts}


def _returns(code: list[dis.Instruction], after: int) -> bool:
    """Whether the code from *after* on only returns or yields the result."""
    # Leaving a loop removes its iterator from the stack.
    while code[after].opname == "SWAP" and code[after + 1].opname.startswith("POP_"):
        after += 2
    if code[after].opname in ("RETURN_VALUE", "YIELD_VALUE"):
        return True
    if not code[after].opname.startswith("STORE_FAST"):
        return False
    variable = _variables(code[after])[0]
    loads = [
        i
        for i, one in enumerate(code)
        if "LOAD_FAST" in one.opname and variable in _variables(one)
    ]
    return bool(loads) and all(code[i + 1].opname == "RETURN_VALUE" for i in loads)


def _variables(instruction: dis.Instruction) -> tuple[str, ...]:
    """The variables of *instruction*; on Python 3.13 and later there may be two."""
    value = instruction.argval
    return value if isinstance(value, tuple) else (value,)


def _loaded(instruction: dis.Instruction) -> tuple[str, str]:
    """The kind and name of the object that *instruction* loads, or empty strings."""
    opname = instruction.opname
    if opname in ("LOAD_ATTR", "LOAD_METHOD") or opname.startswith("LOAD_SUPER_"):
        return "attribute", instruction.argval
    if "LOAD_" in opname and isinstance(name := _variables(instruction)[-1], str):
        return "variable", name
    return "", ""


def _range(instruction: dis.Instruction) -> tuple[Any, Any]:
    """Where *instruction* begins and ends in the source; None if unknown."""
    where = instruction.positions
    if where is None or where.col_offset is None:
        return None, None
    return (where.lineno, where.col_offset), (where.end_lineno, where.end_col_offset)


def _value(frame: FrameType, name: str) -> Any:
    """The value of the variable *name* in *frame*; None if it does not exist."""
    for namespace in (frame.f_locals, frame.f_globals, vars(builtins)):
        if name in namespace:
            return namespace[name]
    return None


def _folder(module: Any) -> str:
    return f"{Path(module.__file__).parent}/"


_ROOTS = {_folder(vinyl): VINYL, _folder(django): DJANGO}
_INSTALLED = ("site-packages", "dist-packages")


@functools.cache
def _starts_of_python() -> tuple[str, ...]:
    """What the file names of Python's own library start with."""
    folders = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib"))
    return (*(f"{folder}/" for folder in folders), "<frozen ")


@functools.cache
def owner_of(filename: str) -> str:
    """
    Return who owns the code in the file *filename*. Code that belongs to nobody else is
    the project's, and so are the packages of its settings and URLs, even if installed.
    """
    for root, owner in _ROOTS.items():
        if filename.startswith(root):
            return owner
    parts = Path(filename).parts
    folders = [i for i, part in enumerate(parts[:-1]) if part in _INSTALLED]
    if folders:
        top = parts[folders[-1] + 1].removesuffix(".py")
        return PROJECT if top in _packages_of_project() else PACKAGE
    return PYTHON if filename.startswith(_starts_of_python()) else PROJECT


def _packages_of_project() -> set[str]:
    if not settings.configured:
        return set()
    names = ("SETTINGS_MODULE", "ROOT_URLCONF", "ASGI_APPLICATION", "WSGI_APPLICATION")
    modules = [getattr(settings, name, None) or "" for name in names]
    # ROOT_URLCONF may be the module itself.
    paths = (getattr(module, "__name__", module) for module in modules)
    return {path.partition(".")[0] for path in paths}
