"""
Refusing a dual-mode call that nobody will await, where it is made.

A call that is not awaited does nothing. Three mistakes are visible in the calling code
before a coroutine exists:

- The next instruction drops the result, as in the statement `album.save()`.
- The caller is a plain function of Django or of an installed package. It expects sync
  mode, and would continue with a coroutine in place of a value.
- The caller is a plain function whose results `functools.lru_cache` keeps. The cache
  would give everyone the same coroutine, which can be awaited once.

If a function only returns the result, its caller is inspected instead. If the code does
not show a mistake with certainty, the call is allowed: Python warns if the coroutine is
never awaited, and a `Call` raises an error if it is used as a value.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NoReturn

from vinyl.bridge.bytecode import (
    DJANGO,
    DROPPED,
    PACKAGE,
    PROJECT,
    RETURNED,
    VINYL,
    CallInstruction,
    owner_of,
)
from vinyl.exceptions import NotAwaitedError

__all__ = ["refuse_lost", "sync_user_of"]

# The type of a function under `lru_cache`, which has no public name.
_LRU_CACHE = type(functools.lru_cache(len))

# Verdicts are kept for this many places in code.
MAX_SITES = 10_000
_sites: dict[tuple[int, int], CallInstruction] = {}

# These run as a part of the function around them.
_INNER = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>")


def _site_of(frame: FrameType) -> CallInstruction:
    # The code itself would be slow to hash.
    key = id(frame.f_code), frame.f_lasti
    site = _sites.get(key)
    if site is None:
        if len(_sites) >= MAX_SITES:
            _sites.clear()
        site = _sites[key] = CallInstruction(frame.f_code, frame.f_lasti)
    return site


def refuse_lost(dual: Callable[..., Any], name: str, frame: FrameType | None) -> None:
    """
    Raise an error if it is certain that a call in async mode will not be awaited.

    Args:
        dual: The dual-mode function.
        name: The name of the call, such as `Album.save`.
        frame: The frame of its caller.

    Raises:
        NotAwaitedError: The result would be dropped, kept by a cache of results, or
            used by sync code of Django or of an installed package.

    Never switches.
    """
    # The last function that has returned the result.
    passed: CodeType | None = None
    # Whether it surely is the result that the next caller gets; whether only code of
    # others has returned it; and whether something else has been made of it.
    certain, foreign, used = True, True, False
    while frame is not None and (certain or foreign):
        # As `_site_of()`, without a call for a place that is known.
        site = _sites.get((id(frame.f_code), frame.f_lasti)) or _site_of(frame)
        if site.is_fine:
            return
        if not used and not site.passes_on:
            direct = certain and site.is_call_of(frame, dual, passed)
            if direct and site.fate == DROPPED:
                _refuse_dropped(name, frame, site)
            certain = direct
            used = site.fate != RETURNED or (not direct and site.is_use(frame))
            if direct and not used and _is_cached(frame):
                _refuse_cached(name, frame)
        if used:
            if not (foreign and site.is_foreign):
                return
            if site.code.co_name not in _INNER:
                _refuse_foreign(name, frame)
            certain = False
        elif site.owner == PROJECT:
            foreign = False
        passed = site.code
        frame = frame.f_back


def _refuse_dropped(name: str, frame: FrameType, site: CallInstruction) -> NoReturn:
    if site.is_foreign:
        _refuse_foreign(name, frame)
    code = site.code
    if site.is_async or code.co_name == "<module>":
        raise NotAwaitedError(
            f"'{name}' was called on the event loop and its result was dropped, so it "
            f"would never run. Write `await` before the call, or start a task with it: "
            f"`task = asyncio.create_task(...)`."
        )
    raise NotAwaitedError(
        f"'{name}' was called on the event loop by {code.co_qualname}(), a plain "
        f"function, which drops its result, so it would never run. Run the function in "
        f"the bridge, `await vinyl.orm.run({code.co_name}, ...)`, or make it `async "
        f"def` and write `await` before the call."
    )


def _is_cached(frame: FrameType) -> bool:
    """Whether results of the function that *frame* runs are kept by `lru_cache`."""
    code = frame.f_code
    first, *names = code.co_qualname.split(".")
    found = frame.f_globals.get(first)
    for name in names:
        found = inspect.getattr_static(found, name, None)
    while found is not None and getattr(found, "__code__", None) is not code:
        if isinstance(found, _LRU_CACHE):
            return getattr(inspect.unwrap(found), "__code__", None) is code
        # A decorator, or the function of a class method or a static method.
        found = getattr(found, "__wrapped__", None)
    return False


def _refuse_cached(name: str, frame: FrameType) -> NoReturn:
    code = frame.f_code
    raise NotAwaitedError(
        f"'{name}' was called on the event loop by {code.co_qualname}() of "
        f"{frame.f_globals.get('__name__', code.co_filename)}, whose results are "
        f"cached: the cache would keep the call, which can be awaited only once, in "
        f"place of its result. Run the function in the bridge, where the result is "
        f"cached: `await vinyl.orm.run({_entry(frame)}, ...)`."
    )


def _refuse_foreign(name: str, frame: FrameType) -> NoReturn:
    code = frame.f_code
    raise NotAwaitedError(
        f"'{name}' was called on the event loop by {code.co_qualname}() of "
        f"{frame.f_globals.get('__name__', code.co_filename)}, sync code that does not "
        f"await it. Run the sync code in the bridge: `await "
        f"vinyl.orm.run({_entry(frame)}, ...)`."
    )


def sync_user_of(frame: FrameType | None, part: str) -> tuple[str, str] | None:
    """
    Return who uses a value that has not been fetched, and the function to run in the
    bridge instead; None unless that is sync code of Django or of an installed package.

    Args:
        frame: The frame of the use.
        part: A file whose code only takes part in it.

    Never switches.
    """
    while frame is not None:
        code = frame.f_code
        is_part = code.co_filename == part or owner_of(code.co_filename) == VINYL
        if not is_part and code.co_name not in _INNER:
            if not _site_of(frame).is_foreign:
                return None
            module = frame.f_globals.get("__name__", code.co_filename)
            return f"{code.co_qualname}() of {module}", _entry(frame)
        frame = frame.f_back
    return None


def _entry(frame: FrameType) -> str:
    """The function to run as a whole: what the project's code called to get here."""
    entry = frame.f_code
    around: FrameType | None = frame
    while around is not None and not _site_of(around).is_async:
        if owner_of(around.f_code.co_filename) not in (DJANGO, PACKAGE, VINYL):
            break
        entry = around.f_code
        around = around.f_back
    # The name of one of these is not what the project's code calls it by.
    is_hidden = "<" in entry.co_qualname or entry.co_name.startswith("__")
    return "function" if is_hidden else entry.co_qualname
