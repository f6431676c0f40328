"""The example shop in a real browser, as a visitor and the staff use it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser import Browser, chromium
from tests.project.terminal import server, vinyl

# One red pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAA"
    "BJRU5ErkJggg=="
)
PASSWORD = "sinnerman-1965"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    (tmp_path / "browser").mkdir()
    with chromium(tmp_path / "browser") as browser:
        yield browser


def make_shop(folder: Path, database_url: str | None) -> Path:
    vinyl("startproject", "shop", "--example", cwd=folder)
    shop = folder / "shop"
    vinyl("migrate", cwd=shop, database_url=database_url)
    vinyl("loadsample", cwd=shop, database_url=database_url)
    script = (
        "from django.contrib.auth.models import User;"
        f"User.objects.create_superuser('staff', password='{PASSWORD}')"
    )
    vinyl("shell", "-c", script, cwd=shop, database_url=database_url)
    return shop


# The timeout of a busy machine; each step of the browser has its own.
@pytest.mark.timeout(400)
def test_the_shop(tmp_path: Path, database_url: str | None, browser: Browser) -> None:
    shop = make_shop(tmp_path, database_url)
    command = ["vinyl", "runserver", "{port}", "--noreload"]
    with server(*command, cwd=shop, database_url=database_url) as (url, log):
        title = visit(browser, url)
        live(browser, url)
        behind_the_counter(browser, url, title, tmp_path)
    assert browser.problems == []
    assert "Traceback" not in log.read_text()


def visit(browser: Browser, url: str) -> str:
    """Sign up, search, put an album on the wish list, take it off, log out."""
    browser.open(f"{url}/wishes/")
    assert browser.path() == "/accounts/login/"
    browser.click("text=Sign up.")
    browser.fill("#id_username", "nina")
    browser.fill("#id_password1", PASSWORD)
    browser.fill("#id_password2", "something else")
    browser.click("text=Sign up")
    assert "The two password fields" in browser.text()
    browser.fill("#id_password1", PASSWORD)
    browser.fill("#id_password2", PASSWORD)
    browser.click("text=Sign up")
    assert browser.path() == "/wishes/"
    assert "Welcome, nina." in browser.text()

    browser.open(f"{url}/albums/")
    browser.fill("#id_q", "paper")
    browser.click("text=Search")
    assert "paper" in browser.evaluate("location.search")
    browser.click("a.card")
    title = browser.evaluate("document.querySelector('h1').innerText")
    browser.click("text=Put it on my wish list")
    assert f"{title} is on your wish list." in browser.text()
    browser.open(f"{url}/wishes/")
    # A message is told once.
    assert "is on your wish list." not in browser.text()
    assert title in browser.text()
    browser.click("text=Remove")
    assert "Nothing on it yet" in browser.text()
    browser.click("text=Log out")
    assert "Log in" in browser.text()
    return title


def live(browser: Browser, url: str) -> None:
    """What somebody writes elsewhere appears on the page without a click."""
    browser.open(f"{url}/live/")
    browser.wait_until("document.body.innerText.includes('New reviews appear here')")
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as other:
        album = other.get("/albums/").text.partition('class="card" href="')[2]
        review = {"author": "Leo", "rating": "4", "text": "<b>Side B!</b>"}
        sent = other.post(album.partition('"')[0], data=review)
    assert sent.status_code == 302
    browser.wait_until("document.body.innerText.includes('<b>Side B!</b>')")


def behind_the_counter(browser: Browser, url: str, title: str, folder: Path) -> None:
    """Log in, change a sleeve, and rename an album in the admin."""
    browser.open(f"{url}/admin/")
    browser.fill("#id_username", "staff")
    browser.fill("#id_password", PASSWORD)
    browser.click("text=Log in")
    assert browser.path() == "/admin/"

    browser.open(f"{url}/albums/?q={title}")
    browser.click("a.card")
    browser.click("text=Change the sleeve")
    picture = folder / "front.png"
    picture.write_bytes(PNG)
    browser.upload("#id_cover", picture)
    browser.click("text=Save the sleeve")
    assert "The sleeve has been changed." in browser.text()
    browser.wait_until("document.querySelector('img.sleeve').naturalWidth == 1")

    browser.open(f"{url}/admin/records/album/?q={title}")
    browser.click(f"text={title}")
    browser.fill("#id_title", "Renamed at the Counter")
    browser.click("[name=_save]")
    assert "Renamed at the Counter" in browser.text()
    browser.open(f"{url}/albums/?q=Renamed")
    assert "Renamed at the Counter" in browser.text()
