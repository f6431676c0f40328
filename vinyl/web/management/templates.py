"""Copying the project template with Django's commands."""

from __future__ import annotations

import keyword
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

import vinyl

__all__ = ["copy", "target_of"]

# The extensions of the files that are rendered, besides Python, and other names.
RENDERED = ["conf", "md", "service", "toml"]
RENDERED_NAMES = ["Dockerfile"]


def folder_of_templates() -> Path:
    """Return the path of `project_template`: in the package, or beside a checkout's."""
    package = Path(vinyl.__file__).parent
    inside = package / "project_template"
    return inside if inside.is_dir() else package.parent / "project_template"


@contextmanager
def staged(layers: list[str]) -> Iterator[Path]:
    """Give a temporary folder with the *layers* of the template, the last on top."""
    with tempfile.TemporaryDirectory() as scratch:
        for layer in layers:
            try:
                shutil.copytree(
                    folder_of_templates() / layer,
                    scratch,
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )
            except shutil.Error as error:
                _, path, reason = error.args[0][0]
                raise CommandError(
                    f"The template cannot be copied to {path}: {reason}. Check how "
                    f"much space is left in the folder for temporary files."
                ) from error
        yield Path(scratch)


def target_of(options: dict[str, Any]) -> Path:
    """Return the folder that the command writes to. Never switches."""
    return Path(options["directory"] or options["name"]).expanduser()


def copy(
    handle: Callable[..., Any], layers: list[str], options: dict[str, Any]
) -> None:
    """
    Copy the *layers* of vinyl's template, or the template that the user chose.

    Args:
        handle: `handle()` of Django's command; takes *options*.
        layers: Folders of `project_template/`; files of later ones replace earlier.
        options: The options of the command line.

    Raises:
        CommandError: The name cannot be used, or a file of the template exists already.
            Nothing has been written then.

    Never switches.
    """
    options = {**options, "vinyl_version": vinyl.__version__}
    if options["template"]:
        handle(**options)
        return
    options["extensions"] = [*options["extensions"], *RENDERED]
    options["files"] = [*options["files"], *RENDERED_NAMES]
    with staged(layers) as folder:
        refuse_names_in_use(folder, options)
        refuse_overwriting(folder, options)
        with removed_unless_complete(folder, options):
            handle(**{**options, "template": str(folder)})


@contextmanager
def removed_unless_complete(folder: Path, options: dict[str, Any]) -> Iterator[None]:
    """Remove what the block has written if it fails or is interrupted."""
    target = target_of(options)
    existed = target.exists()
    new = [path for path in copies(folder, options) if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        if not existed:
            shutil.rmtree(target, ignore_errors=True)
        raise


def refuse_names_in_use(folder: Path, options: dict[str, Any]) -> None:
    """Refuse a package name that is also the name of another folder of the project."""
    name = options["name"]
    if keyword.iskeyword(name):
        raise CommandError(
            f"{name!r} is a keyword of Python, so the package could not be imported. "
            f"Choose another name."
        )
    taken = {path.name.partition(".")[0]: path.name for path in folder.iterdir()}
    if name in taken:
        raise CommandError(
            f"{name!r} cannot be the name of the package, because the project also has "
            f"{taken[name].removesuffix('-tpl')!r} at its top. Choose another name."
        )


def refuse_overwriting(folder: Path, options: dict[str, Any]) -> None:
    """Refuse to overwrite files; Django's command does so after writing some files."""
    target = target_of(options)
    if not options["directory"]:
        # Django reports an invalid name.
        if options["name"].isidentifier() and target.exists():
            raise CommandError(
                f"{target.absolute()} already exists. Choose another name, or pass "
                f"the folder as well: `{options['name']} {target}`."
            )
        return
    for path in copies(folder, options):
        if path.exists():
            raise CommandError(
                f"{path} already exists and would be overwritten, so nothing has "
                f"been written. Choose a folder without this file."
            )


def copies(folder: Path, options: dict[str, Any]) -> Iterator[Path]:
    """Yield the files that are made of those in *folder*."""
    for path in folder.rglob("*"):
        if path.is_file():
            name = str(path.relative_to(folder)).removesuffix("-tpl")
            for placeholder in ("project_name", "app_name"):
                name = name.replace(placeholder, options["name"])
            yield target_of(options) / name
