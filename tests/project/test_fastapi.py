"""Who follows the guide for FastAPI to the letter gets an application that works."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.project.following import Follower
from tests.project.terminal import run, server, vinyl

GUIDE = Path(__file__).parents[2] / "docs" / "howto" / "fastapi.md"


class Reader(Follower):
    """One who has installed everything already."""

    def shell(self, command: str) -> str:
        return "" if command.startswith("pip ") else super().shell(command)


def test_the_guide(tmp_path: Path, database_url: str | None) -> None:
    reader = Reader(tmp_path, database_url)
    reader.follow(GUIDE)
    command = ("uvicorn", "main:app", "--port", "{port}")
    with server(*command, cwd=tmp_path, database_url=database_url) as (url, log):
        with httpx.Client(base_url=url, timeout=30) as client:
            new = {"title": "Pastel Blues", "artist": "Nina Simone"}
            assert client.get("/albums/1").status_code == 404
            made = client.post("/albums/", json=new)
            assert made.status_code == 201
            assert client.get(f"/albums/{made.json()['id']}").json() == new
            assert client.post("/albums/", json={}).status_code == 422
    assert "Traceback" not in log.read_text()
    # The same models under Starlette alone.
    command = ("uvicorn", "plain:app", "--port", "{port}")
    with server(*command, cwd=tmp_path, database_url=database_url) as (url, log):
        assert httpx.get(f"{url}/albums/").json() == {new["title"]: new["artist"]}
    assert "Traceback" not in log.read_text()


SINGLE = """
import os
from vinyl.orm import configure, models

configure(os.environ.get("DATABASE_URL", "sqlite:///db.sqlite3"), apps=[__name__])

class Note(models.Model):
    text = models.TextField()

if __name__ == "__main__":
    print(Note.objects.count(), Note._meta.db_table)
"""


def test_one_module_with_migrations(tmp_path: Path, database_url: str | None) -> None:
    (tmp_path / "notes.py").write_text(SINGLE)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "__init__.py").write_text("")
    (tmp_path / "pyproject.toml").write_text('[tool.vinyl]\nconfigure = "notes"\n')
    made = vinyl("makemigrations", cwd=tmp_path, database_url=database_url)
    assert "Create model Note" in made
    assert (tmp_path / "migrations" / "0001_initial.py").exists()
    vinyl("migrate", cwd=tmp_path, database_url=database_url)
    # As a script its module has another name, and its table the same one.
    assert run("notes", cwd=tmp_path, database_url=database_url) == "0 notes_note\n"


@pytest.mark.parametrize(
    ("configure", "message"),
    [
        ("shop", "which does not call vinyl.orm.configure() when it is imported"),
        ("shpo", "which cannot be found in"),
        ("shpo.models", "which cannot be found in"),
        ("", "which must be the name of a module"),
    ],
)
def test_pyproject_names_another_module(
    tmp_path: Path, configure: str, message: str
) -> None:
    (tmp_path / "shop.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.vinyl]\nconfigure = "{configure}"\n'
    )
    printed = vinyl("migrate", cwd=tmp_path, fails=True)
    assert message in printed
    assert "Traceback" not in printed
