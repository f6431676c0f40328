"""
The documentation site. `scripts/docs` builds it with warnings as errors, and
`scripts/docs --serve` shows it in a browser.
"""

from __future__ import annotations

import sys
from pathlib import Path

import django
from django.conf import settings
from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parents[1]))

import vinyl

# The reference is made from docstrings, and Django's classes need settings.
settings.configure(
    INSTALLED_APPS=[
        "vinyl.orm",
        "vinyl.web",
        "vinyl.web.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "django.contrib.staticfiles",
    ],
    DATABASES={"default": {"ENGINE": "vinyl.orm.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

project = "vinyl"
author = "the vinyl contributors"
copyright = author
version = release = vinyl.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]

# Links such as "topics/web.md#urls" work here and where the files are read as they are.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# A single backquote means code in docstrings, as in Markdown.
default_role = "code"
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 72
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Settings", "params_style")]
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "vinyl"
html_static_path = ["_static"]
html_logo = "_static/vinyl.svg"
html_favicon = "_static/vinyl.svg"
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"


def describe(
    app: Sphinx,
    what: str,
    name: str,
    subject: object,
    options: object,
    lines: list[str],
) -> None:
    """
    Turn the docstring *lines* of *subject* into reStructuredText: an indented paragraph
    is code. Names of Django's or Starlette's have documentation of their own.
    """
    home = getattr(subject, "__module__", None) or ""
    if what == "module":
        # What follows the first paragraph is a map for those who read the source.
        del lines[lines.index("") if "" in lines else len(lines) :]
        lines.append("")
    if what != "module" and home and not home.startswith("vinyl"):
        package = home.partition(".")[0]
        owner = {"django": "Django", "starlette": "Starlette"}.get(package, package)
        lines[:] = [f"From {owner}: ``{home}.{getattr(subject, '__name__', name)}``."]
        return
    told: list[str] = []
    in_code = False
    for line in lines:
        if in_code and line and not line.startswith("    "):
            in_code = False
            told.append("")
        elif line.startswith("    ") and not in_code and told and not told[-1].strip():
            in_code = True
            told += ["::", ""]
        told.append(line)
    lines[:] = told


def setup(app: Sphinx) -> None:
    # Before napoleon, which reads the sections "Args:" and "Raises:".
    app.connect("autodoc-process-docstring", describe, priority=400)
