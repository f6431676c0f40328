"""DATABASES from URLs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from vinyl.databases import database_from_url

BASE = Path("/srv/site")


def postgresql(**entry: Any) -> dict[str, Any]:
    return {
        "ENGINE": "vinyl.orm.backends.postgresql",
        "NAME": "shop",
        "USER": "",
        "PASSWORD": "",
        "HOST": "",
        "PORT": "",
        "OPTIONS": {},
    } | entry


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("postgres:///shop", {}),
        ("postgresql:///shop", {}),
        ("PostgreSQL:///shop", {}),
        ("postgres://db.example/shop", {"HOST": "db.example"}),
        (
            "postgres://ada:p%40ss%2F%23@db.example:6543/my%20shop",
            {
                "NAME": "my shop",
                "USER": "ada",
                "PASSWORD": "p@ss/#",
                "HOST": "db.example",
                "PORT": 6543,
            },
        ),
        (
            "postgres://ada@[::1]:6543/shop",
            {"USER": "ada", "HOST": "::1", "PORT": 6543},
        ),
        ("postgres://[fe80::1]/shop", {"HOST": "fe80::1"}),
        ("postgres:///shop?host=/run/postgresql", {"HOST": "/run/postgresql"}),
        (
            "postgres://ada@%2Frun%2FMyServer:6543/shop",
            {"USER": "ada", "HOST": "/run/MyServer", "PORT": 6543},
        ),
        (
            "postgres:///shop?host=one,two&port=5432,5433",
            {"HOST": "one,two", "PORT": "5432,5433"},
        ),
        (
            "postgres://ada:p%2Css@one:5432,two:5433/shop?target_session_attrs=read-write",
            {
                "USER": "ada",
                "PASSWORD": "p,ss",
                "HOST": "one,two",
                "PORT": "5432,5433",
                "OPTIONS": {"target_session_attrs": "read-write"},
            },
        ),
        ("postgres://one,two/shop", {"HOST": "one,two"}),
        ("postgres://one,two:5433/shop", {"HOST": "one,two", "PORT": ",5433"}),
        (
            "postgres://db/shop?sslmode=require&connect_timeout=10&pool=true&options=-c%20geqo%3D0",
            {
                "HOST": "db",
                "OPTIONS": {
                    "sslmode": "require",
                    "options": "-c geqo=0",
                    "connect_timeout": 10,
                    "pool": True,
                },
            },
        ),
    ],
)
def test_postgresql(url: str, entry: dict[str, Any]) -> None:
    assert database_from_url(url, BASE) == postgresql(**entry)


@pytest.mark.parametrize(
    ("url", "file", "test"),
    [
        ("sqlite:///db.sqlite3", "/srv/site/db.sqlite3", "test_db.sqlite3"),
        ("sqlite:///data/my%20db", "/srv/site/data/my db", "test_my db"),
        ("sqlite:////var/lib/shop.db", "/var/lib/shop.db", "test_shop.db"),
    ],
)
def test_a_file_of_sqlite_and_its_test_database(url: str, file: str, test: str) -> None:
    entry = database_from_url(url, BASE)
    assert entry["ENGINE"] == "vinyl.orm.backends.sqlite3"
    assert entry["NAME"] == Path(file)
    assert entry["TEST"] == {"NAME": BASE / test}
    assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert entry["OPTIONS"]["timeout"] == 20
    assert "journal_mode=WAL" in entry["OPTIONS"]["init_command"]


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite://:memory:?timeout=1"])
def test_sqlite_in_memory_has_no_file(url: str) -> None:
    entry = database_from_url(url, BASE)
    assert entry["NAME"] == ":memory:"
    assert "TEST" not in entry


def test_options_of_the_url_come_before_those_for_web_applications() -> None:
    url = (
        "sqlite:///db.sqlite3?timeout=0.5&transaction_mode=DEFERRED&cached_statements=9"
    )
    options = database_from_url(url, BASE)["OPTIONS"]
    assert options["timeout"] == 0.5
    assert options["transaction_mode"] == "DEFERRED"
    assert options["cached_statements"] == 9
    assert "journal_mode=WAL" in options["init_command"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://ada:secret@db/shop", "begins with mysql://"),
        ("postgis://ada:secret@db/shop", "begins with postgis://"),
        ("", "does not begin with"),
        ("shop", "does not begin with"),
        ("ada:secret@db/shop", "does not begin with"),
        ("sqlite:db.sqlite3", "does not begin with"),
        ("postgres:shop", "does not begin with"),
        ("postgres://ada:secret@db", "does not name a database"),
        ("postgres://ada:secret@db/", "does not name a database"),
        ("postgres://ada:secret@db:port/shop", "a port that is not valid"),
        ("postgres://ada:secret@db:70000/shop", "a port that is not valid"),
        ("postgres://ada:secret@[::1/shop", "a host or a port that is not valid"),
        ("postgres://ada:secret/x@db/shop", "a port that is not valid"),
        ("postgres://ada:secret#x@db/shop", "a port that is not valid"),
        ("postgres://ada@db/shop?password=secret#x", "the character '#'"),
        ("sqlite://", "does not name a file"),
        ("sqlite:///", "does not name a file"),
        ("sqlite://db.sqlite3", "two slashes before the file"),
        ("sqlite://folder/db.sqlite3", "two slashes before the file"),
    ],
)
def test_another_url_is_refused_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        database_from_url(url, BASE)

    message = str(caught.value)
    assert message.startswith("The database URL ")
    assert problem in message
    assert "Write sqlite:///file.sqlite3" in message
    assert "secret" not in message
    assert caught.value.__cause__ is None


def test_settings_can_import_it_without_the_orm() -> None:
    code = (
        "import sys, vinyl.databases\n"
        "assert not {'django.db', 'vinyl.orm', 'django.apps'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
