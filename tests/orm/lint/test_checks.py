"""`vinyl check` reads the project's own source, and says what to do about it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.test import override_settings

Check = Callable[..., list[str]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Check]:
    """Write the files of an app and install it; get what `vinyl check` reports."""

    def run_checks(
        files: dict[str, str],
        folder: str = "",
        labels: list[str] | None = None,
        **options: Any,
    ) -> list[str]:
        root = tmp_path / folder
        monkeypatch.syspath_prepend(root)
        for name, text in {"shop/__init__.py": "", **files}.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        options["INSTALLED_APPS"] = [*settings.INSTALLED_APPS, "shop"]
        with override_settings(**options):
            configs = labels and [apps.get_app_config(label) for label in labels]
            told = checks.run_checks(configs, tags=["vinyl"])
            told = [one for one in told if not one.is_silenced()]
        # Without the link, which the first of each id has.
        texts = [re.sub(r" See https\S+$", "", str(one)) for one in told]
        return [text.replace(str(root), "") for text in texts]

    yield run_checks
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]
    apps.all_models.pop("shop", None)
    apps.clear_cache()


MODELS = """\
from vinyl.orm import models

class Shelf(models.Model):
    class Meta:
        app_label = "shop"

class Record(models.Model):
    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="records")
    class Meta:
        app_label = "shop"
"""
VIEWS = """\
from .models import Shelf

async def tidy(request, pk):
    shelf = await Shelf.objects.get(pk=pk)
    shelf.records.clear()
"""
WRONG = "async def wrong(user):\n    user.save()\n"


def test_the_check_reads_an_app(check: Check) -> None:
    [told] = check({"shop/models.py": MODELS, "shop/views.py": VIEWS})
    assert told == (
        "/shop/views.py:5: (vinyl.W001) `shelf.records.clear()` in `async def tidy()` "
        "is not awaited, so it never runs.\n"
        "\tHINT: Write `await shelf.records.clear()`."
    )


def test_the_check_says_what_to_write(check: Check) -> None:
    source = """\
        from django.db import transaction
        from tests.records.models import Album

        async def view(album):
            album.save()
            albums = Album.objects.all()
            len(albums)
            album in albums
            if albums:
                for each in albums:
                    pass
            with transaction.atomic():
                pass
    """
    told = check({"shop/views.py": textwrap.dedent(source)})
    assert [one.partition("HINT: ")[2] for one in told] == [
        "Write `await album.save()`.",
        "Write `len(await albums)`.",
        "Write `await albums`.",
        "Write `await albums.exists()`.",
        "Write `async for`.",
        "Write `async with transaction.atomic()`.",
    ]
    messages = [one.partition(") ")[2].partition("\n")[0] for one in told]
    assert messages[1] == (
        "`albums` in `async def view()` is not awaited, so its rows have not been "
        "fetched."
    )
    assert messages[-1] == (
        "`transaction.atomic()` in `async def view()` is entered with `with`, which "
        "blocks the event loop."
    )


def test_the_check_says_of_lazy_attributes_what_to_write(check: Check) -> None:
    source = """\
        from tests.records.models import Album, Artist

        async def view(request, it: Artist):
            album = await Album.objects.get()
            if album.label is None or hasattr(it, "biography"):
                print(album.artist.name)  # noqa: vinyl.W004
            return request.user.email  # noqa: vinyl.W005
    """
    told = check({"shop/views.py": textwrap.dedent(source)})
    assert [one.partition("HINT: ")[2] for one in told] == [
        "Write `await album.label`, or test `album.label_id`, which needs no query.",
        "Write `await fetch(it, 'biography')`.",
        "Write `(await album.artist).name`.",
    ]
    messages = [one.partition("\n")[0].removeprefix("/shop/views.py:") for one in told]
    assert messages[1:] == [
        (
            "5: (vinyl.W004) `it.biography` in `async def view()` is a NotFetched "
            "until it is awaited, so this does not test its value."
        ),
        (
            "6: (vinyl.W005) `album.artist` in `async def view()` is used before it is "
            "awaited, so its value has not been fetched."
        ),
    ]


def test_noqa_silences_its_own_line_and_id(check: Check) -> None:
    source = """\
        from django.db import transaction
        from tests.records.models import Album

        # noqa
        async def view(album):
            album.save()  # noqa
            album.save()  # noqa: vinyl.W001
            album.save()  # NOQA: E501, vinyl.W001  (fire and forget)
            Album.objects.filter(  # noqa: vinyl.W001
                year=1965
            ).delete()
            for each in Album.objects.all():  # noqa: vinyl.W002
                pass
            with transaction.atomic():  # noqa: vinyl.W003
                pass
            album.save()  # noqa: vinyl.W002
            album.save()  # noqa: E501
    """
    told = check({"shop/views.py": textwrap.dedent(source)})
    places = [one.partition(": ")[0] for one in told]
    assert places == ["/shop/views.py:16", "/shop/views.py:17"]


def test_no_module_is_imported(check: Check) -> None:
    files = {"shop/views.py": f"from . import more\n{WRONG}", "shop/more.py": "1 / 0"}
    assert len(check(files)) == 1
    assert "shop.views" not in sys.modules


def test_the_check_reads_the_packages_of_settings_and_urlconf(check: Check) -> None:
    files = {"site_a/deep/conf/urls.py": "", "site_a/deep/conf/views.py": WRONG}
    told = check(files, ROOT_URLCONF="site_a.deep.conf.urls")
    assert [one.partition(": ")[0] for one in told] == ["/site_a/deep/conf/views.py:2"]


def test_settings_can_silence_an_id(check: Check) -> None:
    files = {"shop/views.py": WRONG}
    assert len(check(files)) == 1
    assert check(files, SILENCED_SYSTEM_CHECKS=["vinyl.W001"]) == []


def test_sync_mode_needs_no_await(check: Check) -> None:
    assert check({"shop/views.py": WRONG}, VINYL={"IS_ASYNC": False}) == []


def test_a_file_that_cannot_be_read_is_skipped(check: Check) -> None:
    files = {
        "shop/a.py": f"{WRONG}    print 'async def'\n",
        "shop/b.py": f"{WRONG}    x = '\0'\n",
        "shop/c.py": f"# coding: klingon\n{WRONG}",
        "shop/d.py": f"{WRONG}    x = {'+'.join(['1'] * 5000)}\n",
        "shop/e.py": f"{WRONG}    x = {'-' * 100_000}1\n",
        "shop/f.py": f"'\\d'\n{WRONG}",
    }
    told = check(files)
    assert [one.partition(": ")[0] for one in told] == ["/shop/f.py:3"]


@pytest.mark.parametrize(
    "name",
    [
        "shop/tests.py",
        "shop/test_views.py",
        "shop/tests/factories.py",
        "shop/conftest.py",
        "shop/.venv/lib/python3.13/site-packages/other/views.py",
        "shop/node_modules/other/views.py",
    ],
)
def test_tests_and_code_of_others_are_not_read(check: Check, name: str) -> None:
    assert check({name: WRONG}) == []


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_an_installed_app_is_not_read(check: Check, folder: str) -> None:
    assert check({"shop/views.py": WRONG}, folder=folder) == []


def test_only_the_apps_that_are_asked_for_are_read(check: Check) -> None:
    files = {"shop/views.py": WRONG}
    assert check(files, labels=["records"]) == []
    assert len(check(files, labels=["records", "shop"])) == 1
