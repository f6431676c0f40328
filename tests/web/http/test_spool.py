"""A file for a body, in memory or on the disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from vinyl.web.http.spool import Spool

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("limit", [100, 5], ids=["in memory", "on the disk"])
async def test_what_is_written_is_read(limit: int, tmp_path: Path) -> None:
    settings = {"FILE_UPLOAD_MAX_MEMORY_SIZE": limit, "FILE_UPLOAD_TEMP_DIR": tmp_path}
    with override_settings(**settings):
        spool = Spool()
        for piece in (b"Pastel", b" ", b"Blues"):
            await spool.append(piece)
        assert spool.size == 12
        assert spool.in_memory is (limit == 100)
        assert await spool.read(7, 3) == b"Blu"
        assert await spool.read(0, -1) == b"Pastel Blues"
        assert spool.read_now() == b"Pastel Blues"
        assert spool.read_now(7, 3) == b"Blu"
        assert spool.lend_now(lambda file: file.read(6)) == b"Pastel"
        await spool.close()


async def test_a_loan_is_exclusive_and_starts_at_the_beginning() -> None:
    spool, other = Spool(), io.BytesIO()
    await spool.append(b"text")

    async def read(file: Any) -> Any:
        assert spool.read_now() is None
        return file.read()

    assert await spool.lend(read) == b"text"
    await spool.close([other])
    assert other.closed
