"""The project template: where it is, and copying it with Django's commands."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

import vinyl

__all__ = ["copy", "target_of"]

# What is rendered beside Python files.
RENDERED = ["toml", "md"]


def folder_of_templates() -> Path:
    """`project_template`: inside the package in a wheel, beside it in a checkout."""
    package = Path(vinyl.__file__).parent
    inside = package / "project_template"
    return inside if inside.is_dir() else package.parent / "project_template"


@contextmanager
def staged(layers: list[str]) -> Iterator[Path]:
    """A temporary folder with the *layers* of the template, later ones on top."""
    with tempfile.TemporaryDirectory() as scratch:
        for layer in layers:
            shutil.copytree(
                folder_of_templates() / layer,
                scratch,
                dirs_exist_ok=True,
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        yield Path(scratch)


def target_of(options: dict[str, Any]) -> Path:
    """The folder that the command will fill."""
    return Path(options["directory"] or options["name"]).expanduser()


def copy(
    handle: Callable[..., Any], layers: list[str], options: dict[str, Any]
) -> None:
    """
    Copy the *layers* of vinyl's template, or the template that the user named.

    Args:
        handle: `handle()` of Django's command; takes *options*.
        layers: Folders of `project_template/`, later ones replacing files of earlier.
        options: Of the command line.

    Raises:
        CommandError: The name cannot be used, or a file of the template is there
            already. Nothing has been written then.
    """
    options = {**options, "vinyl_version": vinyl.__version__}
    if options["template"]:
        handle(**options)
        return
    options["extensions"] = [*options["extensions"], *RENDERED]
    with staged(layers) as folder:
        refuse_names_in_use(folder, options)
        refuse_overwriting(folder, options)
        handle(**{**options, "template": str(folder)})


def refuse_names_in_use(folder: Path, options: dict[str, Any]) -> None:
    """The package must not share its name, and so its files, with another folder."""
    name = options["name"]
    taken = {path.name.partition(".")[0]: path.name for path in folder.iterdir()}
    if name in taken:
        raise CommandError(
            f"{name!r} cannot be the name of the package, for the project also has "
            f"{taken[name].removesuffix('-tpl')!r} at its top. Choose another name."
        )


def refuse_overwriting(folder: Path, options: dict[str, Any]) -> None:
    """Django's command refuses as well, but when some files are there already."""
    target = target_of(options)
    if not options["directory"]:
        # What is no name at all is told by Django.
        if options["name"].isidentifier() and target.exists():
            raise CommandError(
                f"{target.absolute()} already exists. Choose another name, or give "
                f"the folder as well: `{options['name']} {target}`."
            )
        return
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder)).removesuffix("-tpl")
        copied = target / name.replace("project_name", options["name"])
        if path.is_file() and copied.exists():
            raise CommandError(
                f"{copied} already exists and would be overwritten. Nothing has been "
                f"written; choose a folder without it."
            )
