"""
Sending requests and taking the times, in a process of its own.

wrk does it where it is installed, for it needs little of the processor; a small client
of asyncio does it everywhere. Both keep the connections open, send the next request on
one when the answer to the last has come, and ask for the paths in turn.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="assignment, misc"

from __future__ import annotations

import asyncio
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

__all__ = ["GENERATORS", "Result", "load"]

ROOT = Path(__file__).parents[3]
GENERATORS = ("wrk", "asyncio")

SCRIPT = """
local requests = {}
local turn = 0
function init(args)
    for i, path in ipairs(args) do requests[i] = wrk.format("GET", path) end
end
function request()
    turn = turn % #requests + 1
    return requests[turn]
end
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        '\\n{"rate": %f, "p50": %f, "p99": %f, "errors": %d}\\n',
        summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Result:
    # Answers per second, and milliseconds until an answer had come.
    rate: float
    p50: float
    p99: float
    # Answers without the status 200, and connections that broke.
    errors: int


def load(
    generator: str,
    port: int,
    paths: list[str],
    connections: int,
    seconds: float,
    *,
    cookie: str = "",
) -> Result:
    """
    Send requests to this machine's *port* for some *seconds*.

    Args:
        cookie: The header of that name, if there is to be one.

    Raises:
        RuntimeError: The generator failed, or an answer was an error, or none came.
    """
    if generator == "wrk":
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(SCRIPT)
            script.flush()
            command = ["wrk", "--threads", "1", "--connections", str(connections)]
            command += ["--duration", f"{round(seconds)}s", "--script", script.name]
            # On a busy machine an answer may take longer than wrk's own 2 seconds.
            command += ["--timeout", "30s"]
            if cookie:
                command += ["--header", f"Cookie: {cookie}"]
            output = _run([*command, f"http://127.0.0.1:{port}", "--", *paths])
    else:
        arguments = [str(port), str(connections), str(seconds), cookie, *paths]
        output = _run([sys.executable, "-m", __name__, *arguments])
    result = Result(**json.loads(output.strip().rpartition("\n")[2]))
    if result.errors:
        raise RuntimeError(f"{result.errors} answers were errors: {paths[0]}")
    if not result.rate:
        raise RuntimeError(f"No answer came in {seconds:g} s: {paths[0]}")
    return result


def default_generator() -> str:
    return "wrk" if shutil.which("wrk") else "asyncio"


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr or done.stdout}")
    return done.stdout


class Client(asyncio.Protocol):
    """One connection, which asks again as soon as the answer is there."""

    def __init__(self, requests: list[bytes], turn: int) -> None:
        self.requests = requests
        self.turn = turn
        self.buffer = b""
        self.sent = 0.0
        self.times: list[float] = []
        self.errors = 0
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is no asyncio.Transport, though it can all that.
        self.transport = cast(asyncio.Transport, transport)
        self.ask()

    def ask(self) -> None:
        self.turn = (self.turn + 1) % len(self.requests)
        self.sent = time.perf_counter()
        self.transport.write(self.requests[self.turn])

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not is_complete(self.buffer):
            return
        self.times.append(time.perf_counter() - self.sent)
        self.errors += not self.buffer.startswith(b"HTTP/1.1 200 ")
        self.buffer = b""
        if not self.stopping:
            self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        self.errors += not self.stopping

    def stop(self) -> None:
        self.stopping = True
        self.transport.close()


def is_complete(answer: bytes) -> bool:
    """Whether *answer*, to a request whose answer has a body, is all there."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    _, found, length = head.lower().partition(b"\r\ncontent-length:")
    if found:
        return len(body) >= int(length.partition(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


async def main(
    port: int, connections: int, seconds: float, cookie: str, paths: list[str]
) -> Result:
    head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
    if cookie:
        head += f"Cookie: {cookie}\r\n"
    requests = [f"GET {path} {head}\r\n".encode() for path in paths]
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    clients = [Client(requests, turn) for turn in range(connections)]
    for client in clients:
        await loop.create_connection(lambda it=client: it, "127.0.0.1", port)
    await asyncio.sleep(seconds)
    took = time.perf_counter() - start
    for client in clients:
        client.stop()
    times = [one for client in clients for one in client.times]
    # A slow page may have been answered less than twice.
    cuts = statistics.quantiles(times, n=100) if len(times) > 1 else [math.nan] * 99
    return Result(
        rate=len(times) / took,
        p50=cuts[49] * 1e3,
        p99=cuts[98] * 1e3,
        errors=sum(client.errors for client in clients),
    )


if __name__ == "__main__":
    port, connections, seconds, cookie, *paths = sys.argv[1:]
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    result = run(main(int(port), int(connections), float(seconds), cookie, paths))
    sys.stdout.write(json.dumps(vars(result)))
