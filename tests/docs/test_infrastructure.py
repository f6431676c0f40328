"""The examples of these pages work as they stand."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import logging.config
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.db.utils import ConnectionRouter
from django.test import override_settings
from django.utils import timezone
from django.utils.module_loading import import_string

from tests.docs.pages import DOCS, Example, awaited, blocks
from tests.smtp import mail_server
from tests.web.serving import serving, templates
from vinyl.conf import vinyl_settings
from vinyl.orm import run
from vinyl.orm.pools.options import PoolOptions
from vinyl.web import PlainTextResponse, Request, Response, path

pytestmark = pytest.mark.anyio


async def test_cache_and_mail(example: Example) -> None:
    async with (
        mail_server() as server,
        serving(*example("topics/cache-and-mail.md")["urlpatterns"]) as http,
    ):
        assert (await http.get("/chart/")).text == "1. Sinnerman"
        assert (await http.get("/forget/")).text == "forgotten"
        assert (await http.get("/welcome/")).status_code == 200
        assert server.recipients == ["nina@example.org"]
        assert (await http.get("/report/")).text == "333328333350000"
        assert (await http.get("/primes/")).text == "[2, 3, 5, 7, 11, 13, 17, 19]"


async def test_static_files(example: Example, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "site.css").write_text("p { color: teal }" * 99)
    (tmp_path / "cover.png").write_bytes(b"png")
    media = {"MEDIA_URL": "/media/", "MEDIA_ROOT": tmp_path}
    with override_settings(DEBUG=True, **media):
        names = example("topics/static-files.md", BASE_DIR=tmp_path)
    settings = {name: value for name, value in names.items() if name.isupper()}
    settings["STATICFILES_DIRS"] = [tmp_path / "source"]
    with override_settings(**settings):
        await run(call_command, "collectstatic", interactive=False, verbosity=0)
        async with serving(*names["urlpatterns"]) as http:
            found = await http.get(staticfiles_storage.url("site.css"))
            assert found.headers["content-encoding"] == "gzip"
            assert found.headers["cache-control"].endswith("immutable")
            assert (await http.get("/media/cover.png")).content == b"png"


async def test_middleware(example: Example, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vinyl.access")

    async def view(request: Request) -> Response:
        return PlainTextResponse("served")

    names = example("topics/middleware.md", time=time)
    settings = {
        "MIDDLEWARE": [*names["MIDDLEWARE"], "records.example.TimingMiddleware"],
        "STATIC_ROOT": str(DOCS),
    }
    async with serving(path("", view), **settings) as http:
        answer = await http.get("/", headers={"X-Request-ID": "A7"})
    assert answer.text == "served"
    assert answer.headers["server-timing"].startswith("app;dur=")
    assert answer.headers["x-request-id"] == "A7"
    assert {"etag", "content-language", "x-frame-options"} <= set(answer.headers)
    assert "GET / 200 6 bytes, " in caplog.text
    logging.config.DictConfigurator(names["LOGGING"])
    assert names["LOGGING"]["filters"]["request_id"]["()"].endswith("RequestIDFilter")


async def test_i18n(example: Example) -> None:
    names = example("topics/i18n.md")
    html = blocks("topics/i18n.md", "html")
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


async def test_djangos_handler() -> None:
    names = await awaited("topics/django-handler.md")
    with override_settings(VINYL=names["VINYL"]):
        assert vinyl_settings.DJANGO_HANDLER == "bridge"
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(names["application"]), base_url="http://test"
    ) as http:
        assert (await http.get("/no-such-page/")).status_code == 404
    for blocking in ("exchange_rates", "ExchangeRateMiddleware"):
        assert callable(names[blocking])


async def test_the_toolbar() -> None:
    names = await awaited("topics/toolbar.md")
    assert all(map(import_string, names["MIDDLEWARE"]))
    assert names["INTERNAL_IPS"] == ["192.0.2.7"]


async def test_read_replicas() -> None:
    names = await awaited("howto/read-replicas.md", 0, 1)
    replicas = {name: names[name] for name in ("DATABASE_ROUTERS", "VINYL")}
    with override_settings(**replicas):
        [router] = ConnectionRouter().routers
        assert (router.primary, list(router.replicas)) == ("default", ["replica"])
        names = await awaited(
            "howto/read-replicas.md", 2, PrimaryReplicaRouter=type(router)
        )
        metrics = names["MetricsRouter"]()
        assert metrics.db_for_read(User) is None


async def test_failover() -> None:
    databases = (await awaited("howto/failover.md", 0))["DATABASES"]
    options = databases["default"]["OPTIONS"]
    pool, errors, ignored = PoolOptions.read(options.pop("pool"))
    assert (pool.reconnect_timeout, errors, ignored) == (30, [], [])
    # libpq knows the others.
    assert psycopg.conninfo.make_conninfo("", **options)


async def test_observing_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = "howto/observe-queries.md"
    monkeypatch.chdir(tmp_path)
    names = await awaited(page, 0, 1)
    with override_settings(VINYL=names["VINYL"]):
        assert vinyl_settings.SLOW_QUERIES == 0.5
    logger = logging.getLogger("vinyl.queries")
    before = logger.handlers, logger.propagate
    logging.config.dictConfig(names["LOGGING"])
    try:
        logger.warning("slow")
        written = await run(Path("slow-queries.log").read_text)
        assert "WARNING vinyl.queries: slow" in written
    finally:
        logger.handlers[0].close()
        logger.handlers, logger.propagate = before
    names = await awaited(page, 2)
    with override_settings(VINYL=names["VINYL"]):
        assert vinyl_settings.SLOW_QUERIES_PARAMS is True


async def test_options_of_connections() -> None:
    databases: dict[str, Any] = {"default": {}}
    await awaited("topics/connections.md", 1, DATABASES=databases)
    # libpq knows them all.
    assert psycopg.conninfo.make_conninfo("", **databases["default"]["OPTIONS"])


def test_every_page_with_code_is_run() -> None:
    tests = "".join(
        path.read_text()
        for folder in ("docs", "project", "web", "orm")
        for path in (DOCS.parent / "tests" / folder).rglob("test_*.py")
    )
    pages = [path.relative_to(DOCS) for path in DOCS.rglob("*.md")]
    missing = [
        str(page)
        for page in pages
        if blocks(str(page), "python") and page.name not in tests
        # Followed as a whole, by tests/project/test_tutorial.py.
        if page.parts[0] != "tutorial"
    ]
    assert not missing
