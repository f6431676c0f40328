"""`vinyl migrate` in several processes that start at the same time."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.project.terminal import PATIENCE, environment, new_project, vinyl, wait_for

REPLICAS = 4

MIGRATION = """
import asyncio
from pathlib import Path
from django.db import migrations

async def slow(apps, schema_editor):
    User = apps.get_model("auth", "User")
    await User.objects.acreate(username="nina")
    Path("started").touch()
    await asyncio.sleep(0 if Path("quickly").exists() else 600)

class Migration(migrations.Migration):
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]
    operations = [migrations.RunPython(slow)]
"""


def start(project: Path, database_url: str | None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vinyl", "migrate"],
        cwd=project,
        env=environment(database_url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def add_app(project: Path) -> None:
    vinyl("startapp", "shop", cwd=project)
    (project / "shop" / "migrations" / "0001_slow.py").write_text(MIGRATION)
    settings = project / "mysite" / "settings.py"
    settings.write_text(f"{settings.read_text()}\nINSTALLED_APPS += ['shop']\n")


def test_replicas_that_start_together_do_not_race(
    tmp_path: Path, database_url: str | None
) -> None:
    project = new_project(tmp_path)
    processes = [start(project, database_url) for _ in range(REPLICAS)]
    printed = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * REPLICAS, printed
    applied = [text for text in printed if "Applying auth.0001_initial... OK" in text]
    assert len(applied) == 1, printed
    assert not list(project.glob("*-migrating"))


def test_one_that_is_interrupted_leaves_nothing(
    tmp_path: Path, database_url: str | None
) -> None:
    project = new_project(tmp_path)
    add_app(project)
    process = start(project, database_url)
    log = project / "pyproject.toml"
    wait_for((project / "started").exists, log)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode != 0
    # Its transaction was rolled back, and the next one need not wait.
    (project / "quickly").touch()
    printed = vinyl(
        "migrate", "--lock-timeout=0", cwd=project, database_url=database_url
    )
    assert "Applying shop.0001_slow... OK" in printed
