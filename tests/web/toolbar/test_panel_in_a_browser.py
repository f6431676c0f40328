"""Where the toolbar is on a page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, chromium
from tests.project.terminal import server
from tests.project.test_shop_in_a_browser import PASSWORD, make_shop

SIZES = [(1280, 800), (390, 844)]

TAB = "document.querySelector('vinyl-toolbar').shadowRoot"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    (tmp_path / "browser").mkdir()
    with chromium(tmp_path / "browser") as browser:
        yield browser


def is_hit(browser: Browser, selector: str) -> bool:
    """Whether a click at the centre of an element reaches it, scrolled to or not."""
    return browser.evaluate(
        f"""(() => {{
            const found = document.querySelector('{selector}');
            const hits = () => {{
                const box = found.getBoundingClientRect();
                const x = box.x + box.width / 2, y = box.y + box.height / 2;
                if (y < 0 || y > innerHeight) return null;
                return document.elementFromPoint(x, y) === found;
            }};
            scrollTo({{top: 0, behavior: 'instant'}});
            const first = hits();
            found.scrollIntoView({{block: 'nearest', behavior: 'instant'}});
            return first !== false && hits() === true;
        }})()"""
    )


def press(browser: Browser, key: str, code: int, text: str = "") -> None:
    event = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
    browser.call("Input.dispatchKeyEvent", type="keyDown", **event)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **{**event, "text": ""})


# The timeout of a busy machine; each step of the browser has its own.
@pytest.mark.timeout(400)
def test_nothing_hides_behind_the_toolbar(tmp_path: Path, browser: Browser) -> None:
    shop = make_shop(tmp_path, None)
    command = ["vinyl", "runserver", "{port}", "--noreload"]
    with server(*command, cwd=shop) as (url, _):
        browser.open(f"{url}/admin/")
        browser.fill("#id_username", "staff")
        browser.fill("#id_password", PASSWORD)
        browser.click("text=Log in")
        for width, height in SIZES:
            browser.call(
                "Emulation.setDeviceMetricsOverride",
                width=width,
                height=height,
                deviceScaleFactor=1,
                mobile=False,
            )
            browser.open(f"{url}/admin/records/album/1/change/")
            for selector in ("a.danger", "[name=_save]", "[name=_addanother]"):
                assert is_hit(browser, f".buttons {selector}"), (width, selector)
            # The buttons do not hide the toolbar either.
            assert browser.evaluate(
                f"""(() => {{
                    const box = {TAB}.querySelector('summary').getBoundingClientRect();
                    const x = box.x + box.width / 2, y = box.y + box.height / 2;
                    return document.elementFromPoint(x, y).localName;
                }})()"""
            ) == ("vinyl-toolbar")
        a_footer_of_the_page(browser)
        by_keyboard(browser)


def a_footer_of_the_page(browser: Browser) -> None:
    """It is as wide as the window, and stays at its end."""
    style = "position: fixed; inset: auto 0 0; display: flex; gap: 1px"
    buttons = "".join(f'<button id="b{n}" style="flex: 1">x</button>' for n in range(9))
    footer = f'<footer style="{style}">{buttons}</footer>'
    browser.evaluate(f"document.body.insertAdjacentHTML('beforeend', '{footer}')")
    assert all(is_hit(browser, f"#b{n}") for n in range(9))


def by_keyboard(browser: Browser) -> None:
    """The toolbar opens, goes to the other edge, and away."""
    bar = f"{TAB}.querySelector('.bar')"
    browser.evaluate(f"{TAB}.querySelector('summary').focus()")
    press(browser, "Enter", 13, "\r")
    browser.wait_until(f"{bar}.open")
    browser.evaluate(f"{TAB}.querySelector('#right').focus()")
    press(browser, "ArrowRight", 39)
    browser.wait_until(f"{TAB}.querySelector('#left').checked")
    browser.evaluate(f"{TAB}.querySelector('summary').focus()")
    press(browser, "Enter", 13, "\r")
    browser.wait_until(f"!{bar}.open && {bar}.getBoundingClientRect().left === 0")
    press(browser, "Enter", 13, "\r")
    browser.evaluate(f"{TAB}.querySelector('#left').focus()")
    press(browser, "ArrowRight", 39)
    browser.evaluate(f"{bar}.open = false")
    browser.wait_until(f"{bar}.getBoundingClientRect().width === 0")
