"""What `vinyl collectstatic` ships for a new project, for the example, for Django's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.terminal import new_project, vinyl
from vinyl.web import admin
from vinyl.web.admin.static import LIBRARIES

OWN = Path(admin.__file__).parent / "static"
ADMIN = LIBRARIES | {
    file.relative_to(OWN).as_posix() for file in OWN.rglob("*") if file.is_file()
}


def collected(project: Path, *options: str) -> set[str]:
    """The names in STATIC_ROOT, without copies that are hashed or compressed."""
    vinyl("collectstatic", "--noinput", *options, cwd=project)
    root = project / "staticfiles"
    names = {f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file()}
    copy = re.compile(r"\.[0-9a-f]{12}\.\w+(\.gz|\.br|\.zst)?$|\.(gz|br|zst)$")
    return {name for name in names if not copy.search(name)} - {"staticfiles.json"}


@pytest.mark.parametrize("options", [[], ["--example"]], ids=["bare", "example"])
def test_a_new_project_ships_what_its_pages_use(
    tmp_path: Path, options: list[str]
) -> None:
    vinyl("startproject", "mysite", *options, cwd=tmp_path)
    project = tmp_path / "mysite"
    own = project / "static"
    expected = {f.relative_to(own).as_posix() for f in own.rglob("*") if f.is_file()}
    assert collected(project) == expected | ADMIN


def test_a_project_with_djangos_admin_ships_its_files(tmp_path: Path) -> None:
    new_project(tmp_path)
    project = tmp_path / "mysite"
    settings = project / "mysite" / "settings.py"
    text = settings.read_text().replace("vinyl.web.admin", "django.contrib.admin")
    settings.write_text(text)
    names = collected(project, "--skip-checks")
    assert len([name for name in names if name.startswith("admin/")]) > 100
    assert "admin/js/core.js" in names
