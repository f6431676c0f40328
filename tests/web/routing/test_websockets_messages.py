"""Messages that a client should not have sent: its mistakes, not the site's."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.web.serving import serving, serving_on_a_socket
from vinyl.orm import await_, run
from vinyl.web import BadMessage, WebSocket, path, websocket
from vinyl.web.testing import WebSocketDisconnect

pytestmark = pytest.mark.anyio

DEEP = "[" * 100_000 + "]" * 100_000
DIGITS = "1" * 10_000


@websocket
async def text(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_text(await connection.receive_text())


@websocket
async def all_text(connection: WebSocket) -> None:
    await connection.accept()
    async for received in connection.iter_text():
        await connection.send_text(received)


@websocket
async def data(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_bytes(await connection.receive_bytes())


@websocket
async def all_data(connection: WebSocket) -> None:
    await connection.accept()
    async for received in connection.iter_bytes():
        await connection.send_bytes(received)


@websocket
async def values(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_json(await connection.receive_json())


@websocket
async def all_values(connection: WebSocket) -> None:
    await connection.accept()
    async for received in connection.iter_json():
        await connection.send_json(received)


@websocket
async def binary_values(connection: WebSocket) -> None:
    await connection.accept()
    received = await connection.receive_json(mode="binary")
    await connection.send_json(received, mode="binary")


@websocket
async def in_the_bridge(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_json(await run(lambda: await_(connection.receive_json())))


@websocket
async def in_a_group(connection: WebSocket) -> None:
    await connection.accept()
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.Event().wait())
        group.create_task(connection.receive_json())


async def half_way(connection: WebSocket) -> Any:
    async for received in connection.iter_json():
        yield received


@websocket
async def generated(connection: WebSocket) -> None:
    await connection.accept()
    async for received in half_way(connection):
        await connection.send_json(received)


VIEWS = {
    view.__name__: view
    for view in (
        text,
        all_text,
        data,
        all_data,
        values,
        all_values,
        binary_values,
        in_the_bridge,
        in_a_group,
        generated,
    )
}

CASES = [
    ("text", b"\x00binary", 1003),
    ("all_text", b"\x00binary", 1003),
    ("data", "text", 1003),
    ("all_data", "text", 1003),
    ("values", b"{}", 1003),
    ("all_values", b"{}", 1003),
    ("binary_values", "{}", 1003),
    ("values", "{", 1007),
    ("values", "", 1007),
    ("all_values", "no JSON", 1007),
    ("values", DEEP, 1007),
    ("values", DIGITS, 1007),
    ("values", "NaN", 1007),
    ("values", '[{"a": Infinity}]', 1007),
    ("all_values", "-Infinity", 1007),
    ("values", r'"\ud800"', 1007),
    ("binary_values", b"\xff\xfe{}\xff", 1007),
    ("binary_values", b'"\xe9"', 1007),
    ("in_the_bridge", "{", 1007),
    ("in_the_bridge", b"{}", 1003),
    ("in_a_group", "{", 1007),
    ("generated", "{", 1007),
]
IDS = [f"{name}-{bad[:12]!r}" for name, bad, _ in CASES]


def told(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int, bool]]:
    """What the site was warned of: logger, level, with a traceback or not."""
    return [
        (record.name, record.levelno, bool(record.exc_info))
        for record in caplog.records
        if record.levelno >= logging.WARNING
        and record.name.startswith(("django", "vinyl"))
    ]


BAD_INPUT = [("django.request", logging.WARNING, False)]


@pytest.mark.parametrize(("name", "bad", "code"), CASES, ids=IDS)
async def test_the_connection_is_closed_with_a_warning(
    name: str, bad: Any, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(path("ws/", VIEWS[name]), raising=True) as http:
        async with http.websocket("/ws/") as ws:
            send: Any = ws.send_text if isinstance(bad, str) else ws.send_bytes
            await send(bad)
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
    assert caught.value.code == code
    assert told(caplog) == BAD_INPUT
    assert "Bad Request: WebSocket /ws/: " in caplog.text


@pytest.mark.parametrize(
    ("name", "good"),
    [("all_text", "text"), ("all_data", b"data"), ("all_values", "[1]")],
)
async def test_what_came_before_has_been_answered(name: str, good: Any) -> None:
    async with serving(path("ws/", VIEWS[name])) as http:
        async with http.websocket("/ws/") as ws:
            is_text = isinstance(good, str)
            first, second = (
                (ws.send_text, ws.send_bytes)
                if is_text
                else (ws.send_bytes, ws.send_text)
            )
            await first(good)
            answer = await (ws.receive_text() if is_text else ws.receive_bytes())
            assert answer == good
            await second(b"x" if is_text else "x")
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
    assert caught.value.code == 1003


@pytest.mark.parametrize("key", ["left out", "None"])
@pytest.mark.parametrize("kind", ["text", "bytes"])
async def test_each_way_in_which_servers_give_messages(key: str, kind: str) -> None:
    other = "bytes" if kind == "text" else "text"
    message: dict[str, Any] = {"type": "websocket.receive", other: "x"}
    if key == "None":
        message[kind] = None
    messages: list[Any] = [{"type": "websocket.connect"}, message]

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        pass

    connection = WebSocket({"type": "websocket", "headers": []}, receive, send)
    await connection.accept()
    with pytest.raises(BadMessage):
        await getattr(connection, f"receive_{kind}")()


async def test_a_view_may_catch_it_and_go_on(caplog: pytest.LogCaptureFixture) -> None:
    @websocket
    async def patient(connection: WebSocket) -> None:
        await connection.accept()
        while True:
            try:
                await connection.send_json(["took", await connection.receive_json()])
            except json.JSONDecodeError as error:
                assert isinstance(error, BadMessage)
                await connection.send_json(["no JSON", error.code])
            except BadMessage as error:
                await connection.send_json(["wrong type", error.code])

    async with serving(path("ws/", patient), raising=True) as http:
        async with http.websocket("/ws/") as ws:
            await ws.send_text("{")
            assert await ws.receive_json() == ["no JSON", 1007]
            await ws.send_bytes(b"{}")
            assert await ws.receive_json() == ["wrong type", 1003]
            await ws.send_text("{}")
            assert await ws.receive_json() == ["took", {}]
    assert told(caplog) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("mode", ["text", "binary"])
async def test_to_send_what_is_no_json_is_the_views_mistake(
    number: float, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    @websocket
    async def view(connection: WebSocket) -> None:
        await connection.accept()
        with pytest.raises(ValueError, match="not JSON compliant"):
            await connection.send_json({"price": number}, mode=mode)
        await connection.send_json([number], mode=mode)

    async with serving(path("ws/", view)) as http:
        async with http.websocket("/ws/") as ws:
            # Nothing has been sent.
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
    assert caught.value.code == 1011
    assert told(caplog) == [("django.request", logging.ERROR, True)]


async def test_a_mode_that_there_is_not() -> None:
    @websocket
    async def view(connection: WebSocket) -> None:
        await connection.accept()
        with pytest.raises(ValueError, match="'pigeon'"):
            await connection.receive_json(mode="pigeon")

    async with serving(path("ws/", view), raising=True) as http:
        async with http.websocket("/ws/"):
            pass


async def test_through_uvicorn(caplog: pytest.LogCaptureFixture) -> None:
    patterns = [path(f"{name}/", view) for name, view in VIEWS.items()]
    cases = [case for case in CASES if case[1] != r'"\ud800"']
    async with serving_on_a_socket(*patterns, ws="auto") as http:
        base = f"ws://{http.base_url.netloc.decode()}"
        for name, bad, code in cases:
            caplog.clear()
            async with connect(f"{base}/{name}/", proxy=None) as ws:
                await ws.send(bad)
                with pytest.raises(ConnectionClosed) as caught:
                    await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == code, (name, bad[:20])
            assert told(caplog) == BAD_INPUT, (name, bad[:20])


async def test_what_the_server_refuses_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A message that is too big for uvicorn, or a text that is not UTF-8."""
    async with serving_on_a_socket(path("ws/", all_text), ws="auto") as http:
        address = f"ws://{http.base_url.netloc.decode()}/ws/"
        async with connect(address, proxy=None) as ws:
            await ws.send("x" * (16 * 2**20 + 1))
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
        async with connect(address, proxy=None) as ws:
            await ws.send(b"\xff", text=True)
            with pytest.raises(ConnectionClosed) as caught:
                await ws.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1007
    assert told(caplog) == []
