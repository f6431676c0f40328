"""The app config of vinyl.orm, which makes Django dual-mode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed

from vinyl.bridge import mode
from vinyl.bridge.imports import on_call
from vinyl.bridge.patching import Patch, apply_patches
from vinyl.conf import vinyl_settings
from vinyl.orm import contrib, dualmode, observe, plans
from vinyl.orm.backends.collection import raise_threshold
from vinyl.orm.observe import events, fetch_modes, lazy_loads

__all__ = ["VinylORMConfig"]


def patch_get_checks(get_checks: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch the method by which Django reads the registered checks: vinyl's are imported,
    and so registered, when they are about to run or to be listed.
    """

    @functools.wraps(get_checks)
    def with_own(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Importing them registers them.
        from vinyl.orm import checks  # noqa: F401

        return get_checks(self, *args, **kwargs)

    return with_own


def _patch_of_run_checks() -> Callable[..., Any]:
    from vinyl.orm import checks

    return checks.patch_run_checks


CHECKS = (
    Patch("django.core.checks.registry:CheckRegistry", "get_checks", patch_get_checks),
    Patch(
        "django.core.checks",
        "run_checks",
        on_call(_patch_of_run_checks),
    ),
)


class VinylORMConfig(AppConfig):
    """
    The app "vinyl.orm" of `INSTALLED_APPS`. It makes Django's ORM dual-mode before the
    models are imported, and reads `settings.VINYL` when they are there.
    """

    name = "vinyl.orm"
    label = "vinyl_orm"
    verbose_name = "Vinyl ORM"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        # First, because all that is imported from here on stays in memory.
        raise_threshold(vinyl_settings.GC_THRESHOLD)
        # Not in ready(): here no model class exists yet, so all become dual-mode.
        dualmode.table.apply()
        # Before the apps of others, which import what they use of each other.
        if vinyl_settings.TASK_LOCALS:
            contrib.task_locals.replace_locals(vinyl_settings.TASK_LOCALS)
        # Other packages replace them when they are ready, or later.
        plans.trails.note_compilers()

    def ready(self) -> None:
        dualmode.table.apply(with_apps=True)
        apply_patches(CHECKS)
        read_settings()
        setting_changed.connect(plans.shapes.forget, dispatch_uid="vinyl.orm.plans")
        setting_changed.connect(_reread_settings, dispatch_uid="vinyl.orm.settings")


def read_settings() -> None:
    """
    Put `settings.VINYL` into effect.

    Raises:
        ImproperlyConfigured: A value is wrong that cannot be left out.
    """
    is_async = vinyl_settings.IS_ASYNC
    mode.forced_mode = None if is_async == "auto" else is_async
    observers: list[events.Observer | None] = []
    # Their modules are imported if the settings ask for them.
    if vinyl_settings.SLOW_QUERIES is not None:
        observers.append(observe.slow_log.SlowLog.from_settings())
    if vinyl_settings.OPENTELEMETRY:
        observers.append(observe.tracing.Tracing.from_settings())
    events.set_observers(*(each for each in observers if each is not None))
    lazy_loads.read_settings()
    fetch_modes.read_settings()
    plans.trails.read_settings()


def _reread_settings(*, setting: str, **kwargs: Any) -> None:
    if setting == "VINYL":
        read_settings()
