"""What a new project has for servers: settings, a container file, a unit, nginx."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.project.terminal import (
    PATIENCE,
    environment,
    new_project,
    server,
    vinyl,
    wait_for,
)

PRODUCTION = """\
DEBUG=0
SECRET_KEY=gUvqE7bXoT2mZ4nC8pWsA6yRkL1dF9hJ3eQxVtNz5iBcMaOuYw0
ALLOWED_HOSTS=example.org localhost
HTTPS=1
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = new_project(tmp_path)
    (folder / ".env").write_text(PRODUCTION)
    return folder


def instructions(project: Path) -> list[tuple[str, str]]:
    """The instructions of the Dockerfile, each with what follows it."""
    text = (project / "Dockerfile").read_text().replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split()[0], line.partition(" ")[2]) for line in lines]


def shell(command: str, project: Path) -> str:
    """What `sh` prints for *command*, with the programs of this environment first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=project,
        env=environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_environment_makes_it_safe(project: Path, database_url: str | None) -> None:
    printed = vinyl("check", "--deploy", cwd=project, database_url=database_url)
    assert "no issues" in printed


@pytest.mark.parametrize(
    ("lost", "warning"),
    [("SECRET_KEY", "W009"), ("ALLOWED_HOSTS", "W020"), ("HTTPS", "W008")],
)
def test_what_the_environment_lacks_is_reported(
    project: Path, lost: str, warning: str
) -> None:
    (project / ".env").write_text(re.sub(f"{lost}=.*\n", "", PRODUCTION))
    assert f"security.{warning}" in vinyl("check", "--deploy", cwd=project)


def test_the_steps_of_the_container_work(project: Path) -> None:
    steps = instructions(project)
    runs = [text for name, text in steps if name == "RUN"]

    shell(runs[0].partition(" && ")[0], project)
    assert (project / "requirements.txt").read_text().startswith("vinyl-web>=")
    assert "static files copied" in shell(runs[1], project)
    assert all(
        (project / text.split()[0]).exists() for name, text in steps if name == "COPY"
    )
    assert ".env" in (project / ".dockerignore").read_text().split()
    # It believes everybody who reaches its port.
    assert "--publish 127.0.0.1:" in (project / "Dockerfile").read_text()

    vinyl("migrate", cwd=project)
    [command] = [json.loads(text) for name, text in steps if name == "CMD"]
    [probe] = [text for name, text in steps if name == "HEALTHCHECK"]
    command = ["{port}" if part == "8000" else part for part in command]
    with server(*command, cwd=project) as (url, _):
        probe = probe.removeprefix("CMD ").replace("http://127.0.0.1:8000", url)
        asked = json.loads(probe)
        subprocess.run([sys.executable, *asked[1:]], check=True, timeout=PATIENCE)
        # Everything else goes to HTTPS.
        assert (
            httpx.get(f"{url}/", headers={"host": "example.org"})
            .headers["location"]
            .startswith("https://example.org/")
        )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_the_unit_is_one_for_systemd(project: Path) -> None:
    unit = (project / "deploy" / "site.service").read_text()
    # The programs have to be there.
    unit = re.sub(r"/srv/mysite/\.venv/bin/\w+", sys.executable, unit)
    unit = unit.replace("User=mysite", "User=root")
    (project / "mysite.service").write_text(unit)
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", project / "mysite.service"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert "mysite.service" not in told.stderr, told.stderr
    assert told.returncode == 0


NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")


@pytest.mark.skipif(
    not (NGINX and shutil.which("openssl")), reason="needs nginx and openssl"
)
def test_nginx_serves_it_by_https(project: Path, tmp_path: Path) -> None:
    assert NGINX is not None
    vinyl("migrate", cwd=project)
    vinyl("collectstatic", "--no-input", cwd=project)
    (project / "media").mkdir()
    (project / "media" / "page.html").write_text("<script>alert(1)</script>")
    certify(tmp_path)
    with server(
        "uvicorn", "mysite.asgi:application", "--port", "{port}", cwd=project
    ) as (
        url,
        _,
    ):
        plain, secure = free_ports(2)
        text = (project / "deploy" / "nginx.conf").read_text()
        for old, new in {
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
            "server 127.0.0.1:8000;": f"server {url.removeprefix('http://')};",
            "/etc/letsencrypt/live/example.org": str(tmp_path),
            "/srv/mysite": str(project),
            "server_name example.org;": "server_name localhost;",
        }.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / "site.conf").write_text(text)
        (tmp_path / "nginx.conf").write_text(
            # Otherwise its workers cannot read the folders of a test that runs as root.
            ("user root;\n" if os.geteuid() == 0 else "")
            + f"daemon off; pid {tmp_path}/nginx.pid; error_log stderr;\n"
            f"events {{}}\n"
            f"http {{ access_log off; include {tmp_path}/site.conf;\n"
            + "".join(
                f"{name}_temp_path {tmp_path}/{name};\n"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            + "}\n"
        )
        log = tmp_path / "nginx.log"
        command = [NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
        with log.open("w") as output, subprocess.Popen(command, stderr=output) as nginx:
            try:
                wait_for(lambda: is_open(secure) or nginx.poll() is not None, log)
                visit(
                    f"http://localhost:{plain}", f"https://localhost:{secure}", tmp_path
                )
            finally:
                nginx.terminate()


def visit(plain: str, secure: str, certificates: Path) -> None:
    redirected = httpx.get(f"{plain}/accounts/login/")
    assert redirected.status_code == 301
    assert redirected.headers["location"] == "https://localhost/accounts/login/"

    context = ssl.create_default_context(cafile=certificates / "fullchain.pem")
    with httpx.Client(base_url=secure, verify=context) as client:
        page = client.get("/")
        assert page.status_code == 200
        assert page.headers["strict-transport-security"] == "max-age=3600"
        style = re.search(r'href="(/static/site\.[^"]+\.css)"', page.text)
        assert style
        assert client.get(style[1]).status_code == 200
        upload = client.get("/media/page.html")
        assert "sandbox" in upload.headers["content-security-policy"]


def certify(folder: Path) -> None:
    """Make a certificate for localhost in *folder*, named as certbot does."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
        + ["-keyout", str(folder / "privkey.pem")]
        + ["-out", str(folder / "fullchain.pem")],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
