"""Patches: which apply, what they replace, and that subclasses get them as well."""

# Classes are made in the tests, from one that a fixture gives.
# mypy: disable-error-code="misc"

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import django
import pytest

from vinyl.bridge import patching
from vinyl.bridge.mode import dual
from vinyl.bridge.patching import (
    Patch,
    apply_patches,
    getattr_or_refuse,
    patch_sync_to_async,
    resolve,
)
from vinyl.exceptions import UnsupportedVersion
from vinyl.orm import in_bridge


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    """A class of a library, which patches name `OWNER`."""

    class Library:
        def load(self) -> str:
            return "library"

        def visit_page(self) -> str:
            return "page"

    module = sys.modules[__name__]
    monkeypatch.setattr(module, "Library", Library, raising=False)
    return Library


OWNER = f"{__name__}:Library"


def marked(fn: Callable[..., str] | None) -> Callable[..., str]:
    """A decorator that shows in the result how often it has been applied."""
    assert fn is not None

    def replacement(self: Any) -> str:
        return f"patched {fn(self)}"

    return replacement


class TestWhichApply:
    @pytest.mark.parametrize(
        ("patch", "applies"),
        [
            (Patch(OWNER, "load", marked), True),
            (Patch(OWNER, "load", marked, app="auth"), True),
            (Patch(OWNER, "load", marked, app="gis"), False),
            (Patch(OWNER, "load", marked, since=django.VERSION[:2]), True),
            (Patch(OWNER, "load", marked, since=(99, 0)), False),
            (Patch(OWNER, "load", marked, before=(99, 0)), True),
            (Patch(OWNER, "load", marked, before=django.VERSION[:2]), False),
        ],
        ids=[
            "of the core",
            "of an installed app",
            "of another app",
            "since this Django",
            "since a later one",
            "before a later one",
            "before this one",
        ],
    )
    def test_those_of_this_django_and_its_apps(
        self, patch: Patch, applies: bool, owner: Any
    ) -> None:
        assert patch.applies() == applies
        apply_patches([patch])
        assert owner().load() == ("patched library" if applies else "library")

    def test_each_once(self, owner: Any) -> None:
        patch = Patch(OWNER, "load", lambda fn: marked(fn))
        apply_patches([patch])
        apply_patches([patch, patch])
        assert owner().load() == "patched library"

    def test_a_name_that_this_django_lacks_is_refused(self, owner: Any) -> None:
        patch = Patch(OWNER, "load unload", lambda fn: marked(fn))
        with pytest.raises(UnsupportedVersion, match=r"no 'unload' in .*:Library'"):
            apply_patches([patch])
        # It is not taken for applied.
        assert patch not in patching._applied

    @pytest.mark.parametrize(
        ("place", "names"), [(OWNER, "load unload"), (f"{OWNER}er", "load")]
    )
    def test_another_version_of_a_package_is_used_as_it_is(
        self, owner: Any, place: str, names: str
    ) -> None:
        apply_patches([Patch(place, names, lambda fn: marked(fn), of_package=True)])
        assert owner().load() == "library"

    def test_a_name_that_django_never_had_is_added(self, owner: Any) -> None:
        apply_patches([Patch(OWNER, "listen", lambda before: before or "new")])
        assert owner.listen == "new"


class TestSubclasses:
    @pytest.fixture
    def patch(self, owner: Any) -> Callable[..., None]:
        def patch(names: str = "load", decorator: Any = marked) -> None:
            apply_patches(
                [Patch(OWNER, names, lambda fn: decorator(fn), inherited=True)]
            )

        return patch

    @pytest.mark.parametrize("early", [True, False], ids=["before", "after"])
    def test_that_override_a_name_are_patched(
        self, owner: Any, patch: Any, early: bool
    ) -> None:
        if not early:
            patch()

        class Own(owner):
            def load(self) -> str:
                return "own"

        class Below(Own):
            def load(self) -> str:
                return "below"

        class Heir(Below):
            pass

        if early:
            patch()
        assert Own().load() == "patched own"
        assert Below().load() == Heir().load() == "patched below"
        assert "load" not in vars(Heir)

    def test_a_mixin_is_left_as_it_is(self, owner: Any, patch: Any) -> None:
        class Mixin:
            def load(self) -> str:
                return "mixin"

        patch()

        class Own(Mixin, owner):
            pass

        assert Own().load() == "patched mixin"
        assert Mixin().load() == "mixin"

    def test_what_is_patched_or_dual_already_stays(
        self, owner: Any, patch: Any
    ) -> None:
        class Own(owner):
            load = dual(lambda self: "dual")

        class Copy(owner):
            pass

        patch()
        Copy.load = owner.load
        patch(decorator=lambda fn: fn if fn is None else marked(fn))
        assert Own().load() == "dual"
        assert Copy().load() == "patched library"

    def test_other_attributes_stay(self, owner: Any, patch: Any) -> None:
        class Own(owner):
            load = "not a function"

        patch()
        assert Own.load == "not a function"

    def test_all_names_with_a_prefix(self, owner: Any, patch: Any) -> None:
        class Own(owner):
            def visit_shop(self) -> str:
                return "shop"

            def leave_shop(self) -> str:
                return "shop"

        patch("visit_*")
        own = Own()
        assert own.visit_shop() == "patched shop"
        assert own.leave_shop() == "shop"
        # Of subclasses: the owner's own methods are named one by one.
        assert own.visit_page() == owner().visit_page() == "page"

    def test_two_patches_and_the_class_s_own_hook(self, owner: Any) -> None:
        made: list[type] = []

        def note(cls: type, /, **kwargs: Any) -> None:
            made.append(cls)

        owner.__init_subclass__ = classmethod(note)
        for name in ("load", "visit_page"):
            apply_patches([Patch(OWNER, name, lambda fn: marked(fn), inherited=True)])

        class Own(owner):
            def load(self) -> str:
                return "own"

            def visit_page(self) -> str:
                return "own"

        assert Own().load() == Own().visit_page() == "patched own"
        assert made == [Own]


class TestSyncToAsync:
    @pytest.mark.anyio
    async def test_runs_in_the_bridge(self) -> None:
        def where(greeting: str) -> tuple[str, bool]:
            return greeting, in_bridge()

        sync_to_async = patch_sync_to_async(lambda fn, **options: None)
        assert await sync_to_async(where)("hello") == ("hello", True)

    def test_what_may_run_in_any_thread_does(self) -> None:
        given: list[Any] = []
        sync_to_async = patch_sync_to_async(lambda fn, **options: given.append(options))
        sync_to_async(len, thread_sensitive=False)
        assert given == [{"thread_sensitive": False}]


class TestNames:
    def test_of_a_module_and_of_a_class(self) -> None:
        assert resolve("vinyl.bridge.patching") is patching
        assert resolve("vinyl.bridge.patching:Patch") is Patch

    def test_that_are_missing_are_named_with_the_installed_version(self) -> None:
        version = django.get_version()
        with pytest.raises(UnsupportedVersion, match=rf"^Django {version} has no 'No'"):
            resolve("vinyl.bridge.patching:No")
        with pytest.raises(UnsupportedVersion, match=r"in 'the place', which vinyl"):
            getattr_or_refuse(Patch, "the place", "no")
