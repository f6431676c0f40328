"""Fixtures about the web layer: a user, and a place for sessions."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.backends import file
from django.test import override_settings

from tests.web.users import NINA
from vinyl.web.sessions import session_store


@pytest.fixture
async def nina(db: Any) -> User:
    return await User.objects.create_user(**NINA)


@pytest.fixture
def session_folder(tmp_path: Path) -> Iterator[Path]:
    """Where the file engine keeps its files; it remembers the folder."""

    def forget() -> None:
        session_store.cache_clear()
        vars(file.SessionStore).get("_storage_path") and delattr(
            file.SessionStore, "_storage_path"
        )

    forget()
    with override_settings(SESSION_FILE_PATH=str(tmp_path)):
        yield tmp_path
    forget()
