"""E-mail from views of both kinds, which holds up nobody."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, override"

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest
from django.core import mail as django_mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings

from tests.smtp import admins, mail_server, mailer
from tests.web.serving import serving
from vinyl.exceptions import NotAwaitedError
from vinyl.web import PlainTextResponse, Request, Response, mail, path

pytestmark = pytest.mark.anyio

LETTER = ("Hello", "Text", "us@records.test", ["nina@test"])


async def awaiting(request: Request) -> Response:
    await mail.send_mail(*LETTER)
    await mail.send_mass_mail([LETTER])
    await mail.EmailMessage(*LETTER).send()
    letter = mail.EmailMultiAlternatives(*LETTER)
    letter.attach_alternative("<p>Text</p>", "text/html")
    await letter.send()
    await mail.mail_admins("Alarm", "Text")
    return PlainTextResponse("sent")


def plain(request: Request) -> Response:
    mail.send_mail(*LETTER)
    django_mail.send_mail(*LETTER)
    mail.EmailMessage(*LETTER).send()
    return PlainTextResponse("sent")


def failing(request: Request) -> Response:
    mail.send_mail("Hello", "Text", None, ["nobody@test"])
    return PlainTextResponse("sent")


PATTERNS = [path(f"{view.__name__}/", view) for view in (awaiting, plain, failing)]


@pytest.mark.parametrize(("view", "number"), [("awaiting", 5), ("plain", 3)])
async def test_a_slow_server_does_not_block_the_loop(view: str, number: int) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async with mail_server() as server, serving(*PATTERNS) as http:
        ticking = asyncio.create_task(tick())
        response = await http.get(f"/{view}/")
        ticking.cancel()
    assert response.text == "sent"
    assert len(server.mails) == number
    assert ticks >= number * server.ticks


class AsyncBackend(BaseEmailBackend):
    sent: ClassVar[list[Any]] = []

    async def send_messages(self, email_messages: Any) -> int:
        await asyncio.sleep(0)
        self.sent.extend(email_messages)
        return len(email_messages)


@pytest.mark.parametrize(("view", "number"), [("awaiting", 5), ("plain", 3)])
async def test_a_backend_may_be_async(view: str, number: int) -> None:
    AsyncBackend.sent.clear()
    settings = mailer(f"{__name__}.AsyncBackend") | admins("boss@records.test")
    async with serving(*PATTERNS, **settings) as http:
        assert (await http.get(f"/{view}/")).text == "sent"
    assert len(AsyncBackend.sent) == number


def test_an_async_backend_is_refused_in_sync_mode() -> None:
    with override_settings(**mailer(f"{__name__}.AsyncBackend")):
        with pytest.raises(NotAwaitedError, match="send_messages' is async"):
            mail.send_mail(*LETTER)


async def test_a_refused_letter_is_the_views_error() -> None:
    async with mail_server(), serving(*PATTERNS) as http:
        assert (await http.get("/failing/")).status_code == 500


async def test_sent_without_await_is_an_error_if_used() -> None:
    with pytest.raises(NotAwaitedError, match="send_mail"):
        bool(mail.send_mail(*LETTER))


def test_in_sync_mode_it_is_djangos() -> None:
    with override_settings(**mailer("locmem")):
        django_mail.outbox = []
        assert mail.send_mail(*LETTER) == 1
        assert mail.EmailMessage(*LETTER).send() == 1
    assert [letter.subject for letter in django_mail.outbox] == ["Hello", "Hello"]
