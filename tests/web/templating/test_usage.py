"""The templates that a full recording notes, and which of them uses which."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tests.web.serving import templates
from vinyl.orm.recording import recording
from vinyl.web import render
from vinyl.web.templating.usage import TemplateUse, template_uses

FILES = {
    "page.html": "{% extends 'base.html' %}\n{% block body %}\n"
    "{% include 'card.html' %}{% from 'parts.html' import part %}{% endblock %}",
    "base.html": "{% block body %}{% endblock %}",
    "card.html": "A card",
    "parts.html": "{% macro part() %}{% endmacro %}",
}


@pytest.mark.anyio
async def test_each_use_of_a_template() -> None:
    with override_settings(**templates(files=FILES)):
        with recording(full=True) as record:
            await render(None, "page.html")
    page, *others = template_uses(record)
    assert (page.name, page.parent, page.how, page.line) == ("page.html", None, "", 0)
    assert page.seconds > 0
    assert others == [
        TemplateUse("base.html", "page.html", "extends", 1),
        TemplateUse("card.html", "page.html", "include", 3),
        # The statements of one line are not told apart.
        TemplateUse("parts.html", "page.html", "include", 3),
    ]


@pytest.mark.anyio
async def test_only_full_recordings_note_templates() -> None:
    with override_settings(**templates(files=FILES)):
        with recording() as record:
            await render(None, "page.html")
    assert template_uses(record) == []
