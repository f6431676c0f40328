"""`vinyl shell`: code with and without `await`."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest
from django.core.management import call_command

from tests.records.models import Artist
from vinyl.orm.management.commands.shell import AsyncConsole

pytestmark = pytest.mark.usefixtures("db")


class Recorder(AsyncConsole):
    """A console that is given lines, and keeps what it prints of errors."""

    printed = ""

    def write(self, data: str) -> None:
        self.printed += data

    def enter(self, *lines: str) -> None:
        for line in lines:
            more = self.push(line)
        assert not more


@pytest.fixture
def console() -> Iterator[Recorder]:
    with asyncio.Runner() as runner:
        yield Recorder({"Artist": Artist, "asyncio": asyncio}, runner)


def test_await_at_the_prompt(
    console: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    console.enter("artist = await Artist.objects.create(name='Nina')", "artist.name")
    console.enter("await Artist.objects.count()", "Artist.objects.count()")
    assert capsys.readouterr().out == "'Nina'\n1\n1\n"
    assert not console.printed


def test_blocks_and_tasks_over_several_statements(
    console: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    console.enter("async def count():", "    return await Artist.objects.count()", "")
    console.enter("task = asyncio.create_task(count()); await asyncio.sleep(0)")
    console.enter("await task")
    console.enter("async for artist in Artist.objects.all():", "    artist", "")
    assert capsys.readouterr().out == "0\n"
    assert not console.printed


def test_errors_are_printed_and_the_shell_goes_on(
    console: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    console.enter("await Artist.objects.get(pk=0)")
    assert "DoesNotExist: Artist matching query does not exist" in console.printed
    console.enter("1 +")
    assert "SyntaxError" in console.printed
    console.enter("2")
    assert capsys.readouterr().out == "2\n"
    with pytest.raises(SystemExit):
        console.enter("raise SystemExit")


def test_ctrl_c_ends_the_statement_only(console: Recorder) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    console.locals["started"] = lambda: threading.Thread(target=interrupt).start()
    console.enter("started(); await asyncio.sleep(60)")
    assert console.printed == "\nKeyboardInterrupt\n"
    console.enter("assert await Artist.objects.count() == 0")
    assert console.printed == "\nKeyboardInterrupt\n"


@pytest.mark.parametrize("source", ["await Artist.objects.acount()", "Artist.pk"])
def test_a_command(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("shell", command=f"print({source})", verbosity=0)
    assert capsys.readouterr().out
