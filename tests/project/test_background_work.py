"""docs/howto/background-work.md, followed in a project, with workers of their own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import pytest

from tests.docs.pages import text_of
from tests.project.following import Follower
from tests.project.terminal import PATIENCE, environment, new_project, run, vinyl

MODELS = """
from django.conf import settings
from django.db import models


class Order(models.Model):
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    receipt_sent = models.BooleanField(default=False)
"""

# Buys twice, once in a block that is rolled back, and waits for the receipt.
BUYER = """
import asyncio
import os

os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"

from mysite.asgi import application

from django.contrib.auth.models import User
from django.db import transaction
from mysite.urls import urlpatterns
from shop.models import Order
from shop.views import buy
from vinyl.web import PlainTextResponse, path
from vinyl.web.testing import Client


async def buy_in_vain(request):
    try:
        async with transaction.atomic():
            await buy(request)
            raise LookupError
    except LookupError:
        return PlainTextResponse("Nothing bought")


urlpatterns += [path("in-vain/", buy_in_vain), path("buy/", buy)]


async def main():
    user = await User.objects.create(username="nina", email="nina@example.org")
    async with Client(application, base_url="http://localhost") as http:
        await http.force_login(user)
        for address in ("in-vain", "buy"):
            print((await http.get(f"/{address}/")).raise_for_status().text)
    while not await Order.objects.filter(receipt_sent=True):
        await asyncio.sleep(0.05)
    print(await Order.objects.count(), "order with a receipt")


asyncio.run(asyncio.wait_for(main(), PATIENCE))
""".replace("PATIENCE", str(PATIENCE / 2))


def section(heading: str) -> str:
    """The text of the page below *heading*."""
    return (
        text_of("howto/background-work.md")
        .split(f"\n## {heading}\n")[1]
        .split("\n## ")[0]
    )


@pytest.fixture
def follow(tmp_path: Path, database_url: str | None) -> Callable[..., Path]:
    """Makes a project with a shop, to which a text of the page has been applied."""

    def follow(text: str, settings: str = "") -> Path:
        new_project(tmp_path)
        project = tmp_path / "mysite"
        (project / "shop").mkdir()
        (project / "shop" / "__init__.py").touch()
        (project / "shop" / "models.py").write_text(MODELS)
        (project / "buyer.py").write_text(BUYER)
        (tmp_path / "page.md").write_text(text)
        Follower(project, database_url).follow(tmp_path / "page.md")
        with (project / "mysite" / "settings.py").open("a") as file:
            file.write(f"\nINSTALLED_APPS += ['shop']\n{settings}")
        for command in ("makemigrations shop", "migrate -v 0"):
            vinyl(*command.split(), cwd=project, database_url=database_url)
        return project

    return follow


@contextmanager
def worker(*command: str, cwd: Path, database_url: str | None) -> Iterator[None]:
    """Run a worker while the block lasts; it must end well, having sent one receipt."""
    log = cwd / "worker.log"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=cwd,
            env=environment(database_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0, log.read_text()
        finally:
            process.kill()
    told = log.read_text()
    assert "Traceback" not in told, told
    assert told.count("Thank you for order") == 1, told


def buy(project: Path, database_url: str | None) -> None:
    told = run("buyer", cwd=project, database_url=database_url)
    expected = r"Nothing bought\nOrder \d+\n1 order with a receipt\n"
    assert re.search(expected, told), told


def test_celery(
    tmp_path: Path, follow: Callable[..., Path], database_url: str | None
) -> None:
    pytest.importorskip("celery", reason="needs celery, of the extra check")
    # A broker without a server, in place of the page's Redis.
    queue = tmp_path / "queue"
    queue.mkdir()
    options: dict[str, object] = {"polling_interval": 0.05}
    options |= dict.fromkeys(
        ("data_folder_in", "data_folder_out", "control_folder"), str(queue)
    )
    project = follow(
        section("Celery"),
        f"CELERY_BROKER_URL = 'filesystem://'\n"
        f"CELERY_BROKER_TRANSPORT_OPTIONS = {options}\n",
    )
    command = (
        "celery -A mysite worker --concurrency 1 --without-gossip --without-mingle"
    )
    with worker(*command.split(), cwd=project, database_url=database_url):
        buy(project, database_url)


def test_djangos_tasks(follow: Callable[..., Path], database_url: str | None) -> None:
    pytest.importorskip(
        "django_tasks_db", reason="needs django-tasks-db, of the extra check"
    )
    text = section("Django's tasks")
    if django.VERSION < (6, 0):
        # As the page says.
        text = text.replace("from django.tasks", "from django_tasks")
        text = text.replace('+= ["', '+= ["django_tasks", "')
    project = follow(text)
    command = "vinyl db_worker --no-reload --interval 0.05 --no-startup-delay"
    with worker(*command.split(), cwd=project, database_url=database_url):
        buy(project, database_url)
