"""Settings of the test project. The fixture `db` says which database a test gets."""

from __future__ import annotations

import tempfile
from urllib.parse import parse_qsl, unquote, urlsplit

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


def database(url: str) -> dict[str, object]:
    """The entry of DATABASES for a sqlite: or postgresql: URL."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "vinyl.orm.backends.sqlite3",
            "NAME": unquote(parts.path),
            "OPTIONS": {
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
            },
        }
    options: dict[str, object] = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "vinyl.orm.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }


_scratch = tempfile.TemporaryDirectory(
    prefix="vinyl-tests-", ignore_cleanup_errors=True
)
SQLITE_URL = f"sqlite://{_scratch.name}/vinyl.sqlite3"
DATABASES = {"default": database(SQLITE_URL)}
