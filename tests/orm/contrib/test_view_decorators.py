"""Decorators that wait for a cache, around async views without vinyl.web."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SITE = """
import asyncio, sys, types
import django
from django.conf import settings
settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={{"default": {{
        "BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached",
    }}}},
    DATABASES={{"default": {{
        "ENGINE": "vinyl.orm.backends.sqlite3", "NAME": {database!r},
    }}}},
    INSTALLED_APPS=["vinyl.orm"],
    ROOT_URLCONF="site_urls",
    SECRET_KEY="s",
    VINYL={{"DJANGO_HANDLER": {handler!r}}},
)
django.setup()
import httpx
from django.core.asgi import get_asgi_application
from django.core.cache import cache
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.cache import cache_page
from django.views.decorators.http import etag
call_command("createcachetable")
calls = 0

@cache_page(60)
async def counted(request):
    global calls
    calls += 1
    return HttpResponse(f"call {{calls}}")

async def tag_of(request):
    return await cache.aget("tag", '"first"')

@etag(tag_of)
async def tagged(request):
    return HttpResponse("page")

urls = types.ModuleType("site_urls")
urls.urlpatterns = [path("counted/", counted), path("tagged/", tagged)]
sys.modules["site_urls"] = urls

async def main():
    transport = httpx.ASGITransport(get_asgi_application())
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for _ in range(2):
            print((await client.get("/counted/")).text)
        headers = {{"If-None-Match": '"first"'}}
        print((await client.get("/tagged/", headers=headers)).status_code)

assert "vinyl.web" not in sys.modules
asyncio.run(main())
"""


@pytest.mark.parametrize("handler", ["bridge", "threads"])
def test_async_views_under_djangos_handler(handler: str, tmp_path: Path) -> None:
    code = SITE.format(database=str(tmp_path / "db.sqlite3"), handler=handler)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == ["call 1", "call 1", "304"], done.stderr
