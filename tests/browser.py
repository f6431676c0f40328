"""
A real browser for tests: Chromium without a window, driven over its DevTools protocol.

    with chromium(tmp_path) as browser:
        browser.open("http://127.0.0.1:8000/")
        browser.fill("#id_username", "nina")
        browser.click("text=Log in")
        assert "Welcome" in browser.text()

Each step waits, with a deadline, until the page lets it happen. What the page
writes to the console as an error, and what it asks for and does not get, is in
`browser.problems`. Dialogs, such as that of a page which does not want to be left,
are accepted, and listed in `browser.dialogs`.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

# Seconds for one step; generous for a busy machine.
PATIENCE = 60.0
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run
    --disable-background-networking --disable-component-update --disable-sync
    --disable-dev-shm-usage --remote-debugging-port=0
""".split()


class Browser:
    """One page of a running Chromium."""

    session: str | None = None

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.numbers = itertools.count(1)
        self.problems: list[str] = []
        self.dialogs: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Send a command of the protocol; return its result."""
        number = self._send(method, **params)
        while True:
            answer = json.loads(self.connection.recv(PATIENCE))
            if answer.get("id") == number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]
            self._note(answer.get("method"), answer.get("params", {}))

    def _send(self, method: str, **params: Any) -> int:
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.connection.send(json.dumps(message))
        return number

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(params["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] == "error":
            self.problems.append(json.dumps(params["args"]))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.problems.append(f"{entry['text']} {entry.get('url', '')}")
        elif event == "Page.javascriptDialogOpening":
            self.dialogs.append(params["type"])
            self._send("Page.handleJavaScriptDialog", accept=True)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        result = self.call(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait for a JavaScript expression to be true, across page loads."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(AssertionError):
                if self.evaluate(f"Boolean({expression})"):
                    return
            if time.monotonic() > deadline:
                pytest.fail(f"Never true: {expression}\n{self.evaluate(TEXT)}")
            time.sleep(0.05)

    def open(self, url: str) -> None:
        """Go to *url* and wait until it is loaded."""
        self._leaving(lambda: self.call("Page.navigate", url=url))

    def _leaving(self, step: Any) -> None:
        """Take a step that leads to another page, and wait for that."""
        self.evaluate("window.vinylLeft = true")
        step()
        self.wait_until("!window.vinylLeft && document.readyState == 'complete'")

    def fill(self, selector: str, value: str) -> None:
        """Type *value* into a field in place of what is there."""
        found = self._find(selector)
        self.wait_until(found)
        self.evaluate(f"{found}.focus(), {found}.select && {found}.select()")
        self.call("Input.insertText", text=value)

    def upload(self, selector: str, file: Path) -> None:
        """Choose *file* in a file input."""
        self.wait_until(self._find(selector))
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])

    def click(self, selector: str, *, stays: bool = False) -> None:
        """
        Click what *selector* finds: a CSS selector, or `text=` and a button's or
        link's text. Waits for the next page, unless the click *stays* on this one.
        """
        found = self._find(selector)
        self.wait_until(found)

        def click() -> None:
            where = "{block: 'center', behavior: 'instant'}"
            self.evaluate(f"{found}.scrollIntoView({where})")
            box = self.evaluate(
                f"(b => [b.x + b.width / 2, b.y + b.height / 2])"
                f"({found}.getClientRects()[0])"
            )
            at = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type="mousePressed", **at)
            self.call("Input.dispatchMouseEvent", type="mouseReleased", **at)

        if stays:
            click()
        else:
            self._leaving(click)

    def _find(self, selector: str) -> str:
        if not selector.startswith("text="):
            return f"document.querySelector({json.dumps(selector)})"
        text = json.dumps(selector.removeprefix("text="))
        return (
            "[...document.querySelectorAll('a, button, summary, [role=button]')]"
            f".find(e => e.textContent.trim() == {text})"
        )

    def text(self) -> str:
        """The text that the page shows."""
        return self.evaluate(TEXT)

    def path(self) -> str:
        return self.evaluate("location.pathname")

    def screenshot(self, file: Path) -> None:
        """Write a PNG of the whole page."""
        shot = self.call(
            "Page.captureScreenshot", format="png", captureBeyondViewport=True
        )
        file.write_bytes(base64.b64decode(shot["data"]))


TEXT = "document.body.innerText"


@contextmanager
def chromium(folder: Path, *, size: tuple[int, int] = (1280, 900)) -> Iterator[Browser]:
    """A browser with its profile in *folder*; skips where none is installed."""
    command = next(filter(None, map(shutil.which, NAMES)), None)
    if command is None:
        pytest.skip(f"No browser is installed: none of {', '.join(NAMES)} is found")
    profile = folder / "profile"
    log = folder / "chromium.log"
    flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [command, *flags, "about:blank"],
            env={**os.environ, "HOME": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + PATIENCE
        port_file = profile / "DevToolsActivePort"
        while not port_file.exists() or len(port_file.read_text().split()) < 2:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        port, address = port_file.read_text().split()
        with connect(
            f"ws://127.0.0.1:{port}{address}", max_size=None, proxy=None
        ) as connection:
            yield Browser(connection)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
