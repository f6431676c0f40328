"""Where and how the development server serves: sockets, HTTPS, several processes."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.project.terminal import (
    PATIENCE,
    environment,
    new_project,
    server,
    serving,
    vinyl,
    wait_for,
)

VIEWS = """
import os
from vinyl.web import JSONResponse


async def home(request):
    return JSONResponse({"pid": os.getpid(), "scheme": request.url.scheme})
"""


def project_of(folder: Path) -> Path:
    project = new_project(folder)
    (project / "mysite" / "views.py").write_text(VIEWS)
    return project


def test_fixtures_are_served_from_a_test_database(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    (project / "mysite" / "views.py").write_text(
        "from django.contrib.auth.models import Group\n"
        "from vinyl.web import JSONResponse\n\n"
        "async def home(request):\n"
        "    return JSONResponse([group.name async for group in Group.objects.all()])\n"
    )
    (project / "groups.json").write_text(
        '[{"model": "auth.group", "fields": {"name": "Größe"}}]', encoding="utf-8"
    )
    command = ["testserver", "groups.json", "--noinput", "--addrport", "{port}"]
    with server("vinyl", *command, cwd=project) as (url, _):
        assert httpx.get(url, timeout=30).json() == ["Größe"]


def test_several_processes_serve_and_are_replaced(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    command = ["vinyl", "runserver", "{port}", "--workers", "2"]

    with server(*command, cwd=project) as (url, log):
        deadline = time.monotonic() + PATIENCE
        seen: set[int] = set()

        def ask_until(count: int) -> None:
            while len(seen) < count:
                assert time.monotonic() < deadline, log.read_text()
                seen.add(httpx.get(url, timeout=30).json()["pid"])

        ask_until(2)
        os.kill(min(seen), signal.SIGKILL)
        # The one that replaces it.
        ask_until(3)
    printed = log.read_text()
    assert f"2 processes serve {url}/" in printed
    assert printed.count("Ctrl-C quits") == 1
    assert "Traceback" not in printed


def test_processes_that_cannot_start_end_the_command(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    (project / "mysite" / "urls.py").write_text("urlpatterns = nothing")
    printed = vinyl("runserver", "0", "--workers", "2", cwd=project, fails=True)
    assert "has failed, with exit code 1" in printed
    assert "'nothing' is not defined" in printed


def test_a_unix_socket(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    path = tmp_path / "socket"
    # What a killed server leaves.
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    command = [sys.executable, "-m", "vinyl", "runserver", "--uds", str(path)]
    with subprocess.Popen(
        [*command, "--noreload"],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(f"unix:{path}" in line for line in lines)
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, timeout=30) as client:
            assert client.get("http://localhost/").json()["scheme"] == "http"
        taken = vinyl("runserver", "--uds", str(path), cwd=project, fails=True)
        assert f"Cannot listen on the Unix domain socket {path}" in taken
        assert path.exists()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert not path.exists()


def test_https(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    project = project_of(tmp_path)
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    options = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))

    with serving(project, options=options) as client:
        address = f"https://{client.base_url.netloc.decode()}/"
        trust = ssl.create_default_context(cafile=str(certificate))
        answer = httpx.get(address, verify=trust, timeout=30)
        assert address in (project / "server.log").read_text()
    assert answer.json()["scheme"] == "https"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--workers", "0"), "at least one process has to serve"),
        (("--ssl-keyfile", "nowhere.pem"), "there is no --ssl-certfile"),
        (("--ssl-certfile", "manage.py"), "HTTPS cannot be served with certificate"),
        (("--uds", "nowhere/socket"), "Cannot listen on the Unix domain socket"),
    ],
    ids=["no worker", "no certificate", "not a certificate", "no folder"],
)
def test_wrong_options_are_reported_briefly(
    tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    project = new_project(tmp_path)
    printed = vinyl("runserver", "0", *options, cwd=project, fails=True)
    assert message in printed
    assert "Traceback" not in printed


def test_templates_and_static_files_are_read_anew(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    with serving(project) as client:
        assert "It spins." in client.get("/").text
        template = project / "templates" / "home.html"
        template.write_text(template.read_text().replace("It spins.", "It changed."))
        style = project / "static" / "site.css"
        client.get("/static/site.css")
        style.write_text("/* changed */")
        assert "It changed." in client.get("/").text
        assert client.get("/static/site.css").text == "/* changed */"


BLOCKING = """
import time
from vinyl.web import PlainTextResponse


async def home(request):
    time.sleep(0.6)
    return PlainTextResponse("Slow.")
"""


def test_code_that_blocks_is_reported_with_its_line(tmp_path: Path) -> None:
    project = new_project(tmp_path)
    (project / "mysite" / "views.py").write_text(BLOCKING)
    log = project / "server.log"
    with serving(project) as client:
        wait_for(
            lambda: (
                client.get("/").text == "Slow." and "views.py:7)" in log.read_text()
            ),
            log,
        )
    assert "by mysite.views.home (" in log.read_text()
