"""Caches, file storages and e-mail backends that block do so in threads."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import smtplib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.core import mail
from django.core.cache import BaseCache, cache
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, Storage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.management import call_command
from django.test import override_settings

from tests.fix_db import only_postgresql
from tests.smtp import mail_server, mailer
from vinyl.orm import in_bridge, run, transaction
from vinyl.orm.contrib.blocking import _blocks

pytestmark = pytest.mark.anyio


class TestCaches:
    """A call inside the bridge hops to a thread if the backend blocks."""

    @pytest.fixture(params=["file", "recording"])
    def blocking(
        self, request: pytest.FixtureRequest, tmp_path: Path
    ) -> Iterator[None]:
        backend = {
            "file": "django.core.cache.backends.filebased.FileBasedCache",
            "recording": f"{__name__}.RecordingCache",
        }[request.param]
        setting = {"BACKEND": backend, "LOCATION": str(tmp_path)}
        RecordingCache.threads.clear()
        with override_settings(CACHES={"default": setting}):
            yield

    async def test_every_method_works(self, blocking: None) -> None:
        def use_it() -> None:
            cache.set("artist", "Nina")
            assert cache.get("artist") == "Nina"
            assert "artist" in cache
            assert cache.add("artist", "Abbey") is False
            cache.set_many({"a": 1, "b": 2})
            assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
            assert cache.incr("a") == 2
            assert cache.decr("a") == 1
            assert cache.touch("a")
            assert cache.get_or_set("d", in_bridge) is True
            assert cache.delete("a")
            cache.delete_many(["b"])
            cache.clear()
            assert cache.get("artist") is None

        await run(use_it)

    async def test_the_twins_work(self, blocking: None) -> None:
        await cache.aset("artist", "Nina")
        assert await cache.aget("artist") == "Nina"
        await cache.aset_many({"a": 1})
        assert await cache.aget_many(["a"]) == {"a": 1}
        assert await cache.aget_or_set("d", lambda: 4) == 4
        assert await cache.aincr("a") == 2
        await cache.aclear()
        assert not await cache.ahas_key("artist")

    async def test_where_it_runs(self) -> None:
        setting = {"BACKEND": f"{__name__}.RecordingCache"}
        RecordingCache.threads.clear()
        with override_settings(CACHES={"default": setting}):
            cache.get("a")
            assert RecordingCache.threads == [threading.get_ident()]
            await run(cache.get, "a")
            await cache.aget("a")
        assert threading.get_ident() not in RecordingCache.threads[1:]
        assert len(RecordingCache.threads) == 3

    async def test_memory_is_used_at_once(self, started_threads: list[str]) -> None:
        setting = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        with override_settings(CACHES={"default": setting}):
            await cache.aset("artist", "Nina")
            assert await run(cache.get, "artist") == "Nina"
            await cache.aclear()
        assert started_threads == []

    @only_postgresql
    async def test_the_database_takes_part_in_the_transaction(
        self, db: str, started_threads: list[str]
    ) -> None:
        setting = {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "vinyl_cache",
        }
        with override_settings(CACHES={"default": setting}):
            await run(call_command, "createcachetable", verbosity=0)
            async with transaction.atomic():
                await cache.aset("artist", "Nina")
                assert await run(cache.get, "artist") == "Nina"
                transaction.set_rollback(True)
            assert await cache.aget("artist") is None
        assert started_threads == []


class RecordingCache(BaseCache):
    """A cache of a kind that vinyl does not know, which notes its threads."""

    threads: list[int] = []

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.inner = LocMemCache("recording", params)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.threads.append(threading.get_ident())
        return self.inner.get(*args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> None:
        self.inner.set(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return self.inner.add(*args, **kwargs)

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        return self.inner.touch(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        return self.inner.delete(*args, **kwargs)

    def clear(self) -> None:
        self.inner.clear()


class RecordingStorage(FileSystemStorage):
    """Notes in which threads it works."""

    def __init__(self, location: Path) -> None:
        super().__init__(location)
        self.threads: set[int] = set()

    def _save(self, *args: Any) -> str:
        self.threads.add(threading.get_ident())
        return super()._save(*args)

    def exists(self, *args: Any) -> bool:
        self.threads.add(threading.get_ident())
        return super().exists(*args)


class TestStorages:
    """Files, such as those of a FileField, are written and read in threads."""

    async def test_where_it_works(self, tmp_path: Path) -> None:
        storage = RecordingStorage(tmp_path)

        def use_it() -> None:
            name = storage.save("a/b.txt", ContentFile("text"))
            assert storage.save("a/b.txt", ContentFile("text")) != name
            assert storage.exists(name)
            assert storage.size(name) == 4
            assert storage.listdir("") == (["a"], [])
            with storage.open(name) as file:
                assert file.read() == b"text"
            storage.delete(name)
            assert not storage.exists(name)

        await run(use_it)
        assert storage.threads
        assert threading.get_ident() not in storage.threads
        storage.exists("a")
        assert threading.get_ident() in storage.threads

    async def test_memory_is_used_at_once(self, started_threads: list[str]) -> None:
        storage = InMemoryStorage()
        await run(storage.save, "a.txt", ContentFile("text"))
        assert started_threads == []


class TestMail:
    """Inside the bridge Django's own functions send from a thread."""

    async def test_does_not_block_the_loop(self) -> None:
        async with mail_server() as server:
            sent = await run(
                mail.send_mail, "Hello", "Text", "us@records.test", ["nina@test"]
            )
            assert sent == 1
            await run(mail.mail_admins, "Alarm", "Text")
            await run(mail.EmailMessage("Again", "Text", None, ["abbey@test"]).send)
        assert [m.partition("Subject: ")[2].split("\r")[0] for m in server.mails] == [
            "Hello",
            "[Django] Alarm",
            "Again",
        ]
        assert server.recipients == ["nina@test", "admin@records.test", "abbey@test"]

    async def test_one_connection_for_several(self) -> None:
        def connection() -> Any:
            if django.VERSION >= (6, 1):
                return mail.mailers.default
            return mail.get_connection()

        def send() -> int | None:
            with connection() as backend:
                first = mail.EmailMessage("1", "Text", None, ["nina@test"])
                second = mail.EmailMessage("2", "Text", None, ["nina@test"])
                return backend.send_messages([first, second])

        async with mail_server() as server:
            assert await run(send) == 2
        assert len(server.mails) == 2

    async def test_errors_arrive(self) -> None:
        async with mail_server() as server:
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                await run(mail.send_mail, "Hello", "Text", None, ["nobody@test"])
        assert server.mails == []

    async def test_tests_find_it_in_the_outbox(
        self, started_threads: list[str]
    ) -> None:
        with override_settings(**mailer("locmem")):
            mail.outbox = []
            await run(mail.send_mail, "Hello", "Text", None, ["nina@test"])
        assert [m.subject for m in mail.outbox] == ["Hello"]
        assert started_threads == []


class Queueing(BaseEmailBackend):
    __module__ = "tests.records.mail"


class OwnQueueing(Queueing):
    __module__ = "tests.records.more"


class Posting(BaseEmailBackend):
    __module__ = "elsewhere.mail"


class OwnPosting(Posting):
    __module__ = "tests.records.mail"


class OwnFiles(FileSystemStorage):
    __module__ = "tests.records.files"


class InDatabase(Storage):
    __module__ = "elsewhere.files"
    vinyl_in_bridge = True


@pytest.mark.parametrize(
    ("backend", "blocks"),
    [
        # Of an app with models, which keeps its mail there.
        (Queueing, False),
        (OwnQueueing, False),
        (InDatabase, False),
        (Posting, True),
        # Written in such an app, but made of what blocks.
        (OwnPosting, True),
        (OwnFiles, True),
    ],
)
def test_which_backends_block(backend: type, blocks: bool) -> None:
    assert _blocks(backend) is blocks
