"""The admin in a real browser, under a policy that allows no inline script or style."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.browser import Browser, chromium
from tests.web.admin.administering import MIDDLEWARE
from tests.web.serving import serving_on_a_socket
from vinyl.web import path
from vinyl.web.admin import AdminSite

# Scripts, styles and forms of the site alone; `connect-src` is for completion.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
KEYS = {
    "Enter": (13, "\r"),
    "Tab": (9, ""),
    " ": (32, " "),
    "/": (191, "/"),
    "Escape": (27, ""),
    "ArrowLeft": (37, ""),
    "ArrowDown": (40, ""),
    "ArrowUp": (38, ""),
}


class StrictPolicy:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = POLICY
            await send(message)

        await self.app(scope, receive, with_policy)


async def browse(
    site: AdminSite,
    folder: Path,
    steps: Callable[[Browser, str], None],
    **settings: Any,
) -> None:
    """
    Log in as "ada" and take the *steps*, which get the browser and the address of the
    server. Nothing that the browser reports on the way is in order.
    """
    middleware = [
        f"{__name__}.StrictPolicy",
        "vinyl.web.staticfiles.StaticFilesMiddleware",
        *MIDDLEWARE,
    ]
    options = {"MIDDLEWARE": middleware, "DEBUG": True, **settings}

    def run(url: str) -> None:
        with chromium(folder) as browser:
            browser.open(f"{url}/admin/")
            browser.fill("#id_username", "ada")
            browser.fill("#id_password", "secret")
            browser.click(".login button")
            steps(browser, url)
            assert browser.problems == []

    async with serving_on_a_socket(path("admin/", site.urls), **options) as http:
        await asyncio.to_thread(run, str(http.base_url).rstrip("/"))


def press(browser: Browser, key: str) -> None:
    """Press a key where the focus is."""
    code, text = KEYS[key]
    event = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **event)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **{**event, "text": ""})


def focused(browser: Browser) -> str:
    """The id of the element that has the focus, or its text."""
    return browser.evaluate(
        "document.activeElement.id || document.activeElement.textContent.trim()"
    )


def value(browser: Browser, selector: str) -> str:
    return browser.evaluate(f"document.querySelector('{selector}').value")


def in_window(browser: Browser, field: str, action: str, name: str) -> None:
    """Add or change the object of a field, which has a name, in a window."""
    # The driver sees one page alone; a script does in the other what a visitor would.
    browser.evaluate(
        "window.open = (open => (...args) => window.opened = open.apply(window, args))"
        "(window.open), 0"
    )
    browser.click(f".field-{field} [data-related={action}]", stays=True)
    browser.wait_until("window.opened.document.querySelector('#id_name')")
    browser.evaluate(
        f"""
        opened.document.querySelector('#id_name').value = '{name}';
        opened.document.querySelector('button[name=_save]').click();
        """
    )
    browser.wait_until("window.opened.closed")
