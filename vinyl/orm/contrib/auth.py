"""
What the dual-mode table does to django.contrib.auth: hashing beside the event loop, and
async names that heed what a project has overridden.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from vinyl.bridge.greenlets import await_, in_bridge, run
from vinyl.bridge.patching import Row, dual, native
from vinyl.bridge.threads import in_thread

__all__ = [
    "TABLE",
    "checking",
    "following",
    "heeding_async",
    "in_worker_thread",
    "of_project",
    "through_plain",
]


def in_worker_thread(fn: Callable) -> Callable:
    """
    The change for what takes the processor or the disk for long, such as a hash of a
    password: inside the bridge a thread does it, while the event loop goes on.
    """

    hop = in_thread(fn)

    @functools.wraps(fn)
    def threaded(*args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        return (hop if in_bridge() else fn)(*args, **kwargs)

    return threaded


def through_plain(original: Callable) -> Callable:
    """
    The change for an async method that would hash on the event loop: the plain one
    does the same, in the bridge.
    """
    plain = original.__name__.removeprefix("a")

    @functools.wraps(original)
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        return await run(getattr(self, plain), *args, **kwargs)

    return method


def checking(original: Callable) -> Callable:
    """The same for the function `acheck_password`, whose *setter* is async."""

    @functools.wraps(original)
    async def acheck_password(
        password: Any, encoded: str, setter: Any = None, preferred: Any = "default"
    ) -> bool:
        from django.contrib.auth.hashers import check_password

        def set_password(raw: Any) -> None:
            await_(setter(raw))

        set_new = set_password if setter is not None else None
        return await run(check_password, password, encoded, set_new, preferred)

    return acheck_password


def following(original: Callable) -> Callable:
    """
    The change for an async name such as `ahas_perm`: a subclass that overrides only the
    plain method is heeded. An async view must not decide otherwise than a plain one.
    """
    asynchronous = original.__name__
    plain = asynchronous.removeprefix("a")

    @functools.wraps(original)
    async def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        for cls in type(self).__mro__:
            if asynchronous in vars(cls):
                break
            if plain in vars(cls):
                return await run(getattr(self, plain), *args, **kwargs)
        return await original(self, *args, **kwargs)

    return method


def heeding_async(original: Callable) -> Callable:
    """
    The change for a plain method of BaseBackend, which says no: inside the bridge a
    backend that has only the async one is asked that.
    """
    asynchronous = f"a{original.__name__}"
    inherited: Any = None

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        nonlocal inherited
        if inherited is None:
            from django.contrib.auth.backends import BaseBackend

            inherited = vars(BaseBackend)[asynchronous]
        if in_bridge() and getattr(type(self), asynchronous) is not inherited:
            return await_(getattr(self, asynchronous)(*args, **kwargs))
        return original(self, *args, **kwargs)

    return method


def of_project(names: str) -> Callable[[Callable], Callable]:
    """
    The change for what makes objects of a project's classes, one or a list of them:
    *names*, separated by spaces, may be `async def` there, and are awaited where
    Django's code calls them. A coroutine of a "no" would be true.
    """

    def change(make: Callable) -> Callable:
        @functools.wraps(make)
        def making(*args: Any) -> Any:
            made = make(*args)
            for one in made if isinstance(made, list) else [made]:
                for name in names.split():
                    method = getattr(one, name, None)
                    if inspect.iscoroutinefunction(method):
                        setattr(one, name, dual(method))
            return made

        return making

    return change


_AUTH = "django.contrib.auth"
_PERMISSIONS = (
    "get_all_permissions get_group_permissions get_user_permissions has_module_perms "
    "has_perm has_perms"
)
_ASYNC_PERMISSIONS = " ".join(f"a{name}" for name in _PERMISSIONS.split())

TABLE = (
    Row("django.contrib.auth", "sync_to_async", native, app="auth", since=(6, 1)),
    Row("django.contrib.auth.decorators", "sync_to_async", native, app="auth"),
    Row(
        "django.contrib.auth.middleware",
        "sync_to_async",
        native,
        app="auth",
        before=(6, 1),
    ),
    Row("django.contrib.auth.backends", "sync_to_async", native, app="auth"),
    Row(
        _AUTH,
        "authenticate login logout update_session_auth_hash",
        dual,
        app="auth",
    ),
    Row(
        f"{_AUTH}.models:PermissionsMixin",
        _PERMISSIONS,
        dual,
        inherited=True,
        app="auth",
    ),
    Row(
        f"{_AUTH}.models:PermissionsMixin",
        _ASYNC_PERMISSIONS,
        following,
        app="auth",
    ),
    Row(f"{_AUTH}.models:AnonymousUser", _PERMISSIONS, dual, app="auth"),
    # It calls the plain one.
    Row(
        f"{_AUTH}.models:AnonymousUser",
        "aget_group_permissions",
        through_plain,
        app="auth",
    ),
    Row(
        f"{_AUTH}.base_user:AbstractBaseUser",
        "check_password",
        dual,
        inherited=True,
        app="auth",
    ),
    # Those of users without the mixin.
    Row(
        f"{_AUTH}.base_user:AbstractBaseUser",
        _PERMISSIONS,
        dual,
        inherited=True,
        app="auth",
    ),
    Row(
        f"{_AUTH}.base_user:AbstractBaseUser",
        "acheck_password",
        through_plain,
        app="auth",
    ),
    Row(
        f"{_AUTH}.models:UserManager",
        "acreate_user acreate_superuser",
        through_plain,
        app="auth",
    ),
    # From 6.1 on it uses a thread.
    Row(
        f"{_AUTH}.hashers",
        "acheck_password",
        checking,
        app="auth",
        before=(6, 1),
    ),
    Row(
        f"{_AUTH}.hashers:BasePasswordHasher",
        "encode harden_runtime verify",
        in_worker_thread,
        inherited=True,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:BaseBackend",
        "authenticate get_user get_all_permissions get_group_permissions "
        "get_user_permissions has_perm",
        heeding_async,
        app="auth",
    ),
    Row(
        _AUTH,
        "load_backend",
        of_project(
            "authenticate get_user get_all_permissions get_group_permissions "
            "get_user_permissions has_module_perms has_perm user_can_authenticate"
        ),
        app="auth",
    ),
    Row(
        f"{_AUTH}.password_validation",
        "get_password_validators",
        of_project("validate password_changed get_help_text"),
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:BaseBackend",
        "aget_all_permissions ahas_perm",
        following,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:ModelBackend",
        "aauthenticate",
        through_plain,
        app="auth",
    ),
    Row(
        f"{_AUTH}.backends:ModelBackend",
        "aget_group_permissions aget_user ahas_module_perms ahas_perm "
        "aget_user_permissions",
        following,
        app="auth",
    ),
)
