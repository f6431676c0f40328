"""Settings of the test project. The fixture `db` says which database a test gets."""

from __future__ import annotations

import tempfile
from typing import Any

from vinyl.databases import database_from_url

SECRET_KEY = "a key for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
INSTALLED_APPS = [
    "vinyl.orm",
    "vinyl.web",
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "tests.records",
    "vinyl.web.admin",
]
# The package is there for its own tests, which turn it on.
VINYL = {"OPENTELEMETRY": False}
STATIC_URL = "static/"
TEMPLATES = [{"BACKEND": "vinyl.web.templating.Jinja2", "APP_DIRS": True}]


_scratch = tempfile.TemporaryDirectory(
    prefix="vinyl-tests-", ignore_cleanup_errors=True
)


def database(url: str) -> dict[str, Any]:
    """The entry of DATABASES for *url*; SQLite does not wait for the disk."""
    entry = database_from_url(url, _scratch.name)
    if entry["ENGINE"].endswith("sqlite3"):
        entry["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"
    return entry


SQLITE_URL = "sqlite:///vinyl.sqlite3"
DATABASES = {"default": database(SQLITE_URL)}
