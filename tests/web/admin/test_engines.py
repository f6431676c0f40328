"""Engines of TEMPLATES that would take the place of vinyl's are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core import checks
from django.template import loader
from django.test import override_settings

from vinyl.web.admin.engines import check_engines
from vinyl.web.templating.engine import Template

VINYLS = {"BACKEND": "vinyl.web.templating.Jinja2", "APP_DIRS": True}
DJANGOS = {
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
}


def reports(*engines: dict[str, Any]) -> list[checks.CheckMessage]:
    with override_settings(TEMPLATES=list(engines)):
        return check_engines()


def test_an_engine_that_finds_the_pages_of_djangos_admin() -> None:
    engine = {**DJANGOS, "NAME": "theirs"}
    (warning,) = reports(engine, VINYLS)
    assert warning.id == "vinyl.W145"
    assert "lists the engine 'theirs' before vinyl's" in warning.msg
    assert "such as 'admin/actions.html'" in warning.msg
    assert "'vinyl.web.templating.Jinja2' first" in str(warning.hint)
    with override_settings(TEMPLATES=[engine, VINYLS]):
        for name in ("admin/index.html", "registration/password_reset_form.html"):
            assert not isinstance(loader.get_template(name), Template)


def test_pages_for_logging_in_are_vinyls_for_an_engine_after_djangos() -> None:
    """Django's engine does not find what it could not read."""
    with override_settings(TEMPLATES=[DJANGOS, VINYLS]):
        for name in ("registration/login.html", "vinyl/base.html"):
            assert isinstance(loader.get_template(name), Template)


def test_an_engine_that_does_not_search_apps() -> None:
    assert reports({**DJANGOS, "APP_DIRS": False}, VINYLS) == []


def test_djangos_engine_after_vinyls() -> None:
    assert reports(VINYLS, DJANGOS) == []


def test_no_engine_of_vinyls() -> None:
    assert reports(DJANGOS) == []


def test_pages_that_the_project_has_written(tmp_path: Path) -> None:
    for name in ("admin/index.html", "registration/login.html"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("{% load i18n %}")
    engine = {**DJANGOS, "APP_DIRS": False, "DIRS": [tmp_path]}
    assert reports(engine, VINYLS) == []
