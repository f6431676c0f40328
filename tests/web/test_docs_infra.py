"""The examples of the pages about caches, e-mail and threads work as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import override_settings

from tests.smtp import mail_server
from tests.web.serving import serving
from vinyl.orm import run

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
