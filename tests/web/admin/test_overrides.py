"""Templates of a project that the admin would silently ignore are reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import pytest
from django.core import checks
from django.test import override_settings

from vinyl.web.admin.overrides import check_templates

Reports = Callable[..., list[checks.CheckMessage]]


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    """What is reported about a project with the templates *files*."""

    def check(files: dict[str, str], **options: Any) -> list[checks.CheckMessage]:
        for name, source in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(source)
        engine = {
            "BACKEND": "vinyl.web.templating.Jinja2",
            "DIRS": [tmp_path],
            "APP_DIRS": True,
            **options,
        }
        with override_settings(TEMPLATES=[engine]):
            return check_templates()

    return check


def test_a_project_with_templates_that_are_used(reports: Reports) -> None:
    form = '{% extends "admin/change_form.html" %}'
    assert (
        reports(
            {
                "admin/base_site.html": '{% extends "admin/base.html" %}'
                "{% block footer %}{% block own %}{% endblock %}{% endblock %}",
                "admin/records/change_form.html": f"{form}{{% block form_top %}}x"
                "{% endblock %}{% block footer %}{% endblock %}",
                "admin/records/album/change_form.html": "{% extends "
                '"admin/records/change_form.html" %}'
                "{% block object_tools %}{% endblock %}",
                "admin/submit_line.html": "{% block whatever %}{% endblock %}",
                "admin/dynamic.html": "{% extends page %}{% block x %}{% endblock %}",
                "shop/page.html": "{% load i18n %}",
            }
        )
        == []
    )


def test_a_template_that_is_not_used(reports: Reports) -> None:
    found = reports(
        {
            "admin/nav_sidebar.html": "x",
            "admin/records/album/change_form_object_tools.html": "{% load i18n %}",
        }
    )
    assert [one.id for one in found] == ["vinyl.W143"] * 2
    hints = sorted(str(one.hint) for one in found)
    assert hints == [
        "Replace the block object_tools_items of admin/change_form.html instead.",
        "Replace the block sidebar of admin/base_site.html instead.",
    ]


def test_a_block_that_is_never_rendered(reports: Reports) -> None:
    [found] = reports(
        {
            "admin/base_site.html": '{% extends "admin/base.html" %}'
            "{% block coltype %}{% endblock %}{% block branding %}{% endblock %}"
        }
    )
    assert found.id == "vinyl.W143"
    assert "'coltype' of the template 'admin/base_site.html'" in found.msg


@pytest.mark.parametrize(
    "source",
    [
        "{% load i18n %}",
        '{% extends "admin/base.html" %}{% block nav-global %}{% endblock %}',
    ],
    ids=["a tag of Django's", "a hyphen"],
)
def test_a_template_in_the_language_of_django(reports: Reports, source: str) -> None:
    [found] = reports({"admin/base_site.html": source})
    assert found.id == "vinyl.W144"
    assert "'admin/base_site.html'" in found.msg


def test_templates_that_extend_themselves_or_nothing_there_is(reports: Reports) -> None:
    page = "{% block x %}{% endblock %}"
    files = {
        "admin/index.html": f'{{% extends "admin/index.html" %}}{page}',
        "admin/login.html": f'{{% extends "nowhere.html" %}}{page}',
    }
    assert reports(files) == []


def test_a_loader_that_cannot_list_its_templates(reports: Reports) -> None:
    loader = jinja2.FunctionLoader(lambda name: None)
    options = {"loader": loader}
    assert reports({}, DIRS=[], APP_DIRS=False, OPTIONS=options) == []
