"""`vinyl makemessages`: Django's command, which also reads Jinja2's templates."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from django.core.management.commands import makemessages
from jinja2 import TemplateSyntaxError
from jinja2.ext import babel_extract

__all__ = ["Command"]

FUNCTIONS = ("_", "gettext", "ngettext", "pgettext", "npgettext")


class BuildFile(makemessages.BuildFile):
    """A file with messages; a Jinja2 template is turned into Python for xgettext."""

    def preprocess(self) -> None:
        if self.is_templatized and self.domain == "django":
            source = Path(self.path).read_text(encoding="utf-8")
            try:
                text = as_python(source)
            except TemplateSyntaxError:
                # One of Django's templates.
                pass
            else:
                Path(self.work_path).write_text(text, encoding="utf-8")
                return
        super().preprocess()


def as_python(source: str) -> str:
    """
    Return the messages of a Jinja2 template as calls in Python, each on its line.

    Raises:
        jinja2.TemplateSyntaxError: It is not a Jinja2 template.
    """
    lines: list[str] = []
    options: dict[str, Any] = {"silent": "false", "newstyle_gettext": "true"}
    options["extensions"] = "jinja2.ext.do,jinja2.ext.loopcontrols"
    for number, function, message, comments in babel_extract(
        io.BytesIO(source.encode()), FUNCTIONS, ("Translators:",), options
    ):
        found = message if isinstance(message, tuple) else (message,)
        # The count, and the values of the placeholders, are None.
        texts = ", ".join(repr(text) for text in found if isinstance(text, str))
        if not texts:
            continue
        if "ngettext" in function or "npgettext" in function:
            texts += ", 0"
        lines += [""] * (number - len(lines))
        if comments and number > 1:
            # xgettext looks for them in the line before.
            lines[number - 2] += f"  # Translators: {' '.join(comments)}"
        # There may be several in one line.
        lines[number - 1] += f"{function}({texts}); "
    return "\n".join(lines) + "\n"


class Command(makemessages.Command):
    """Extract the messages of Python code and of templates in both languages."""

    build_file_class = BuildFile
