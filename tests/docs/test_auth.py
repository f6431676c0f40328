"""The examples of docs/topics/auth.md work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import Any

import jinja2
import pytest
from django.contrib.auth.models import Permission, User

from tests.docs.pages import Example, blocks
from tests.web.serving import serving

pytestmark = pytest.mark.anyio


async def test_the_examples(example: Example, db: Any) -> None:
    names = example("topics/auth.md")
    settings = {name: names[name] for name in ("MIDDLEWARE", "TEMPLATES")}
    (engine,) = settings["TEMPLATES"]
    del engine["APP_DIRS"]
    own = jinja2.DictLoader({"cart.html": blocks("topics/auth.md", "html")})
    engine["OPTIONS"]["loader"] = jinja2.ChoiceLoader(
        [own, jinja2.PackageLoader("vinyl.web", "jinja2")]
    )
    async with serving(*names["urlpatterns"], **settings) as page:
        await names["test_my_page"]()
        assert (await page.get("/me/")).headers["location"] == (
            "/accounts/login/?next=/me/"
        )
        assert "<h1>Log in</h1>" in (await page.get("/accounts/login/")).text
        await page.get("/cart/add/3/")
        await page.get("/cart/add/4/")
        data = {"username": "nina", "password": "wrong"}
        assert (await page.post("/enter/", data=data)).status_code == 403
        data["password"] = "sinnerman"
        assert (await page.post("/enter/", data=data)).status_code == 302
        assert (await page.get("/cart/")).json() == [3, 4]
        expected = {"name": "nina", "may add": False}
        assert (await page.get("/me/")).json() == expected
        assert (await page.get("/me/plainly/")).json() == expected
        nina = await User.objects.get()
        await nina.user_permissions.add(
            await Permission.objects.get(codename="add_album")
        )
        assert (await page.get("/me/")).json()["may add"]
        await page.get("/save/")
        shown = (await page.get("/cart/page/")).text
        for part in ("The album is saved.", "You are nina.", "Add an album"):
            assert part in shown
        assert "saved" not in (await page.get("/cart/page/")).text
        await page.get("/cart/empty/")
        assert (await page.get("/cart/")).json() == []
        assert (await page.get("/me/")).status_code == 302
