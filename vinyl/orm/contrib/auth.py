"""
django.contrib.auth in both modes: passwords are hashed in a worker thread, and the two
names of a method (`has_perm` and `ahas_perm`) give the same answer, whichever of them a
project overrides.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from vinyl.bridge.greenlets import await_, in_bridge, run
from vinyl.bridge.mode import dual
from vinyl.bridge.patching import Patch, patch_sync_to_async
from vinyl.orm.contrib.blocking import patch_blocking

__all__ = ["TABLE"]


def twins(
    calls_twin: Callable[[Any, str, str], bool],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return the patch for a method that has a twin: `has_perm` for plain code and
    `ahas_perm` for async code. The patched method calls its twin, in the bridge, where
    *calls_twin* says so, and otherwise does what Django's does.

    Args:
        calls_twin: Is given the object, the plain name and the async name.
    """

    def patch_twin(original: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(original):
            asynchronous = original.__name__
            plain = asynchronous.removeprefix("a")

            @functools.wraps(original)
            async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
                __traceback_hide__ = True
                if calls_twin(self, plain, asynchronous):
                    return await run(getattr(self, plain), *args, **kwargs)
                return await original(self, *args, **kwargs)

            return async_method

        plain = original.__name__
        asynchronous = f"a{plain}"

        @functools.wraps(original)
        def plain_method(self: Any, *args: Any, **kwargs: Any) -> Any:
            __traceback_hide__ = True
            if in_bridge() and calls_twin(self, plain, asynchronous):
                return await_(getattr(self, asynchronous)(*args, **kwargs))
            return original(self, *args, **kwargs)

        return plain_method

    return patch_twin


def _always(obj: Any, plain: str, asynchronous: str) -> bool:
    return True


def _is_plain_overridden(obj: Any, plain: str, asynchronous: str) -> bool:
    """Whether a subclass overrides the plain method and leaves the async one alone."""
    for cls in type(obj).__mro__:
        if asynchronous in vars(cls):
            return False
        if plain in vars(cls):
            return True
    return False


# The object and the plain name of the twin that a default async method is calling.
_called: ContextVar[tuple[Any, str] | None] = ContextVar("called", default=None)


def _is_async_overridden(obj: Any, plain: str, asynchronous: str) -> bool:
    """
    Whether a subclass overrides the async method and leaves the plain one alone. False
    if that async method is the caller, by `super()`: it would call itself for ever.
    """
    called = _called.get()
    if called is not None and called[0] is obj and called[1] == plain:
        return False
    return _is_plain_overridden(obj, asynchronous, plain)


def patch_default_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch an async method that calls its plain twin: the twin does not call it back.
    """
    plain = original.__name__.removeprefix("a")

    @functools.wraps(original)
    async def async_method(self: Any, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        token = _called.set((self, plain))
        try:
            return await original(self, *args, **kwargs)
        finally:
            _called.reset(token)

    return async_method


# Django's async method would hash a password on the event loop, or call the plain one.
_call_plain = twins(_always)
# An async view must not decide otherwise than a plain one.
_heed_plain = twins(_is_plain_overridden)
# The plain methods of BaseBackend always refuse.
_heed_async = twins(_is_async_overridden)


def patch_acheck_password(original: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch the function `acheck_password()`, which would hash on the event loop: the
    plain one runs in the bridge, and awaits *setter*.
    """

    @functools.wraps(original)
    async def acheck_password(
        password: Any, encoded: str, setter: Any = None, preferred: Any = "default"
    ) -> bool:
        # Reads the settings, so not before they are there.
        from django.contrib.auth.hashers import check_password

        def set_password(raw: Any) -> None:
            await_(setter(raw))

        set_new = set_password if setter is not None else None
        return await run(check_password, password, encoded, set_new, preferred)

    return acheck_password


def patch_factory(names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return the patch for a function that makes objects of classes that a project lists
    in its settings: one object, or a list of them. Their methods may be `async def`:
    Django's sync code would take the coroutine of a "no" for a "yes", so it is awaited.

    Args:
        names: The methods, separated by spaces.
    """

    def patch(make: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(make)
        def make_dual(*args: Any) -> Any:
            made = make(*args)
            for obj in made if isinstance(made, list) else [made]:
                for name in names.split():
                    method = getattr(obj, name, None)
                    if inspect.iscoroutinefunction(method):
                        setattr(obj, name, dual(method))
            return made

        return make_dual

    return patch


def patch_load_backend(load_backend: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch the function that makes an authentication backend. One that does not inherit
    from Django's may have the plain methods only; Django's async code would pass over
    its `has_perm()`, and so refuse what it grants.
    """

    @functools.wraps(load_backend)
    def load(path: str) -> Any:
        backend = load_backend(path)
        for name in _BACKEND_METHODS.split():
            plain = getattr(backend, name, None)
            if plain is not None and not hasattr(backend, f"a{name}"):
                setattr(backend, f"a{name}", functools.partial(_run_plain, plain))
        return backend

    return load


async def _run_plain(plain: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    __traceback_hide__ = True
    return await run(plain, *args, **kwargs)


_BACKEND_METHODS = (
    "authenticate get_user get_all_permissions get_group_permissions "
    "get_user_permissions has_module_perms has_perm"
)
_AUTH = "django.contrib.auth"
_PERMISSIONS = (
    "get_all_permissions get_group_permissions get_user_permissions has_module_perms "
    "has_perm has_perms"
)
_ASYNC_PERMISSIONS = " ".join(f"a{name}" for name in _PERMISSIONS.split())

TABLE = tuple(
    patch._replace(app="auth")
    for patch in (
        Patch(_AUTH, "sync_to_async", patch_sync_to_async, since=(6, 1)),
        Patch(f"{_AUTH}.decorators", "sync_to_async", patch_sync_to_async),
        Patch(
            f"{_AUTH}.middleware", "sync_to_async", patch_sync_to_async, before=(6, 1)
        ),
        Patch(f"{_AUTH}.backends", "sync_to_async", patch_sync_to_async),
        Patch(_AUTH, "authenticate login logout update_session_auth_hash", dual),
        Patch(f"{_AUTH}.models:PermissionsMixin", _PERMISSIONS, dual, inherited=True),
        Patch(f"{_AUTH}.models:PermissionsMixin", _ASYNC_PERMISSIONS, _heed_plain),
        Patch(f"{_AUTH}.models:AnonymousUser", _PERMISSIONS, dual),
        # It calls the plain one.
        Patch(f"{_AUTH}.models:AnonymousUser", "aget_group_permissions", _call_plain),
        Patch(
            f"{_AUTH}.base_user:AbstractBaseUser",
            "check_password",
            dual,
            inherited=True,
        ),
        # Those of users without the mixin.
        Patch(
            f"{_AUTH}.base_user:AbstractBaseUser", _PERMISSIONS, dual, inherited=True
        ),
        Patch(f"{_AUTH}.base_user:AbstractBaseUser", "acheck_password", _call_plain),
        Patch(
            f"{_AUTH}.models:UserManager", "acreate_user acreate_superuser", _call_plain
        ),
        Patch(
            f"{_AUTH}.models:PermissionManager",
            "get_by_natural_key",
            dual,
            inherited=True,
        ),
        # Of its subclasses, since it has neither itself.
        Patch(
            f"{_AUTH}.base_user:BaseUserManager",
            "create_user create_superuser",
            dual,
            inherited=True,
        ),
        # From 6.1 on it uses a thread.
        Patch(
            f"{_AUTH}.hashers", "acheck_password", patch_acheck_password, before=(6, 1)
        ),
        Patch(
            f"{_AUTH}.hashers:BasePasswordHasher",
            "encode harden_runtime verify",
            patch_blocking,
            inherited=True,
        ),
        Patch(
            f"{_AUTH}.backends:BaseBackend",
            "authenticate get_user get_all_permissions get_group_permissions "
            "get_user_permissions has_perm",
            _heed_async,
        ),
        Patch(
            _AUTH,
            "load_backend",
            patch_factory(f"{_BACKEND_METHODS} user_can_authenticate"),
        ),
        Patch(_AUTH, "load_backend", patch_load_backend),
        Patch(
            f"{_AUTH}.password_validation",
            "get_password_validators",
            patch_factory("validate password_changed get_help_text"),
        ),
        Patch(
            f"{_AUTH}.backends:BaseBackend",
            "aget_all_permissions ahas_perm",
            _heed_plain,
        ),
        Patch(
            f"{_AUTH}.backends:BaseBackend",
            "aauthenticate aget_user aget_group_permissions aget_user_permissions",
            patch_default_async,
        ),
        Patch(f"{_AUTH}.backends:ModelBackend", "aauthenticate", _call_plain),
        Patch(
            f"{_AUTH}.backends:ModelBackend",
            "aget_group_permissions aget_user ahas_module_perms ahas_perm "
            "aget_user_permissions",
            _heed_plain,
        ),
    )
)
