"""The app config of vinyl.orm, which makes Django dual-mode."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.signals import setting_changed

from vinyl.bridge import mode
from vinyl.bridge.patching import apply_patches
from vinyl.conf import vinyl_settings
from vinyl.orm.backends.collection import raise_threshold
from vinyl.orm.dualmode import table
from vinyl.orm.observe import events, fetch_modes, lazy_loads
from vinyl.orm.observe.slow_log import SlowLog
from vinyl.orm.observe.tracing import Tracing
from vinyl.orm.plans import trails
from vinyl.orm.plans.shapes import forget

__all__ = ["VinylORMConfig"]


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
        # Before the models are imported, which makes many objects.
        raise_threshold(vinyl_settings.GC_THRESHOLD)
        # Not in ready(): here no model class exists yet, so all become dual-mode.
        table.apply()
        # Other packages replace them when they are ready, or later.
        trails.note_compilers()

    def ready(self) -> None:
        # Importing them registers the checks. Here, since they need the models.
        from vinyl.orm import checks
        from vinyl.orm.lint import checks as lint_checks  # noqa: F401

        table.apply(with_apps=True)
        apply_patches(checks.TABLE)
        read_settings()
        setting_changed.connect(forget, dispatch_uid="vinyl.orm.plans")
        setting_changed.connect(_reread_settings, dispatch_uid="vinyl.orm.settings")


def read_settings() -> None:
    """
    Put `settings.VINYL` into effect.

    Raises:
        ImproperlyConfigured: A value is wrong that cannot be left out.
    """
    is_async = vinyl_settings.IS_ASYNC
    mode.forced_mode = None if is_async == "auto" else is_async
    observers = (SlowLog.from_settings(), Tracing.from_settings())
    events.set_observers(*(each for each in observers if each is not None))
    lazy_loads.read_settings()
    fetch_modes.read_settings()
    trails.read_settings()


def _reread_settings(*, setting: str, **kwargs: Any) -> None:
    if setting == "VINYL":
        read_settings()
