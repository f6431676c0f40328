"""The examples of these pages work as they stand."""

from __future__ import annotations

import logging.config
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from tests.smtp import mail_server
from tests.web.serving import serving, templates
from vinyl.orm import run
from vinyl.web import PlainTextResponse, Request, Response, path

pytestmark = pytest.mark.anyio

TOPICS = Path(__file__).parents[2] / "docs" / "topics"


def example(page: str, **given: Any) -> dict[str, Any]:
    """The names that the Python code of *page* defines, with those that it is given."""
    path = TOPICS / page
    code = "\n".join(re.findall(r"```python\n(.*?)```", path.read_text(), re.S))
    names: dict[str, Any] = {"__name__": "records.views", **given}
    exec(compile(code, str(path), "exec"), names)
    return names


async def test_cache_and_mail() -> None:
    async with (
        mail_server() as server,
        serving(*example("cache-and-mail.md")["urlpatterns"]) as http,
    ):
        assert (await http.get("/chart/")).text == "1. Sinnerman"
        assert (await http.get("/forget/")).text == "forgotten"
        assert (await http.get("/welcome/")).status_code == 200
        assert server.recipients == ["nina@example.org"]
        assert (await http.get("/report/")).text == "333328333350000"
        assert (await http.get("/primes/")).text == "[2, 3, 5, 7, 11, 13, 17, 19]"


async def test_static_files(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "site.css").write_text("p { color: teal }" * 99)
    (tmp_path / "cover.png").write_bytes(b"png")
    media = {"MEDIA_URL": "/media/", "MEDIA_ROOT": tmp_path}
    with override_settings(DEBUG=True, **media):
        names = example("static-files.md", BASE_DIR=tmp_path)
    settings = {name: value for name, value in names.items() if name.isupper()}
    settings["STATICFILES_DIRS"] = [tmp_path / "source"]
    with override_settings(**settings):
        await run(call_command, "collectstatic", interactive=False, verbosity=0)
        async with serving(*names["urlpatterns"]) as http:
            found = await http.get(staticfiles_storage.url("site.css"))
            assert found.headers["content-encoding"] == "gzip"
            assert found.headers["cache-control"].endswith("immutable")
            assert (await http.get("/media/cover.png")).content == b"png"


async def test_middleware(caplog: pytest.LogCaptureFixture) -> None:
    import time

    caplog.set_level("INFO", "vinyl.access")

    async def view(request: Request) -> Response:
        return PlainTextResponse("served")

    names = example("middleware.md", time=time)
    names["TimingMiddleware"].__module__ = "tests.timing"
    module = ModuleType("tests.timing")
    module.TimingMiddleware = names["TimingMiddleware"]  # type: ignore[attr-defined]
    sys.modules["tests.timing"] = module
    settings = {
        "MIDDLEWARE": [*names["MIDDLEWARE"], "tests.timing.TimingMiddleware"],
        "STATIC_ROOT": str(TOPICS),
    }
    try:
        async with serving(path("", view), **settings) as http:
            answer = await http.get("/", headers={"X-Request-ID": "A7"})
    finally:
        del sys.modules["tests.timing"]
    assert answer.text == "served"
    assert answer.headers["server-timing"].startswith("app;dur=")
    assert answer.headers["x-request-id"] == "A7"
    assert {"etag", "content-language", "x-frame-options"} <= set(answer.headers)
    assert "GET / 200 6 bytes, " in caplog.text
    logging.config.DictConfigurator(names["LOGGING"])
    assert names["LOGGING"]["filters"]["request_id"]["()"].endswith("RequestIDFilter")


async def test_i18n() -> None:
    names = example("i18n.md")
    html = "\n".join(
        re.findall(r"```html\n(.*?)```", (TOPICS / "i18n.md").read_text(), re.S)
    )
    settings = {"MIDDLEWARE": names["MIDDLEWARE"], "LANGUAGE_CODE": "en"}
    settings |= templates(files={"album.html": html})
    async with serving(*names["urlpatterns"], **settings) as http:
        assert (await http.get("/de/hello/")).text == "Ja"
        moved = await http.get("/hello/", headers={"Accept-Language": "de"})
        assert moved.headers["location"] == "/de/hello/"
        page = (await http.get("/de/album/")).text
        for part in ("Ja, Nein", "by &lt;b&gt;", "2 sides", 'lang="de">1.234,50'):
            assert part in page
        chosen = await http.post("/i18n/setlang/", data={"language": "fr"})
        assert "django_language=fr" in chosen.headers["set-cookie"]

    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(timezone.get_current_timezone_name())

    await names["TimeZoneMiddleware"](app)({}, None, None)
    assert seen == ["Europe/Berlin"]
