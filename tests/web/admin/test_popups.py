"""What windows for related objects tell the page that opened them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc"

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from tests.records.models import Artist, Label
from tests.web.admin.administering import administering, superuser, text
from vinyl.web.admin import AdminSite

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def answer(page: Any) -> dict[str, str]:
    [data] = re.findall(r'data-popup-response="([^"]*)"', page.text)
    assert "<script>" not in page.text
    answered: dict[str, str] = json.loads(unescape(data))
    return answered


async def test_windows_answer_with_what_was_added_changed_and_deleted() -> None:
    await superuser()
    url = "/admin/records/label/"
    async with administering() as http:
        popup = {"_popup": "1", "_to_field": "id"}
        page = await http.post(f"{url}add/", data={"name": 'Sun "Ra"', **popup})
        label = await Label.objects.get()
        assert answer(page) == {"value": str(label.pk), "obj": 'Sun "Ra"'}
        # For a window that has no opener.
        assert 'Saved: Sun "Ra"' in text(page)
        page = await http.post(
            f"{url}{label.pk}/change/", data={"name": "Saturn", **popup}
        )
        assert answer(page) == {
            "action": "change",
            "value": str(label.pk),
            "obj": "Saturn",
            "new_value": str(label.pk),
        }
        page = await http.post(
            f"{url}{label.pk}/delete/", data={"post": "yes", **popup}
        )
        assert answer(page) == {"action": "delete", "value": str(label.pk)}
        assert "Deleted:" in text(page)


async def test_an_odd_key_is_answered_as_the_field_has_it() -> None:
    await superuser()
    site = AdminSite()
    site.register(Session, fields=["session_data", "expire_date"])
    session = await Session.objects.create(
        session_key="a/b", session_data="x", expire_date=timezone.now()
    )
    async with administering(site=site) as http:
        data = {"session_data": "y", "_popup": "1"}
        data |= {"expire_date_0": "2030-01-01", "expire_date_1": "12:00:00"}
        page = await http.post("/admin/sessions/session/a_2Fb/change/", data=data)
        assert answer(page)["value"] == session.pk


async def test_a_field_that_may_not_be_referenced_is_refused() -> None:
    await superuser()
    artist = await Artist.objects.create(name="Nina Simone")
    async with administering() as http:
        url = f"/admin/records/artist/{artist.pk}/change/?_popup=1&_to_field=name"
        assert (await http.get(url)).status_code == 400
