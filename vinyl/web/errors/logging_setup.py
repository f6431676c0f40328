"""What the application sets up once, so that each error is logged once and soon."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.utils.log import AdminEmailHandler, RequireDebugFalse

from vinyl.web.errors.report import was_logged

__all__ = ["set_up_logging", "wait_for_emails"]

mail_logger = logging.getLogger("vinyl.mail")

# Emails that are being sent, on any event loop.
_sending: set[asyncio.Future[None]] = set()


def set_up_logging() -> None:
    """
    Let Django's `AdminEmailHandler` send from a thread when there is an event loop, and
    keep uvicorn from logging an error again. If the project has no LOGGING setting, let
    warnings and errors go to the console when `DEBUG` is off, too. Never switches.
    """
    if not hasattr(AdminEmailHandler.send_mail, "__wrapped__"):
        send_mail = patch_send_mail(AdminEmailHandler.send_mail)
        AdminEmailHandler.send_mail = send_mail  # type: ignore[method-assign]
    logging.getLogger("uvicorn.error").addFilter(_is_first_record)
    if settings.LOGGING_CONFIG and not settings.LOGGING:
        # Django's own configuration writes to the console only in debug mode.
        console = logging.StreamHandler()
        console.setLevel(logging.WARNING)
        console.addFilter(RequireDebugFalse())
        # The root logger's handlers print the record already.
        console.addFilter(lambda record: not logging.getLogger().handlers)
        logging.getLogger("django").addHandler(console)


def _is_first_record(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not was_logged(error)


def patch_send_mail(send: Callable[..., None]) -> Callable[..., None]:
    """
    The patch for `AdminEmailHandler.send_mail`: on an event loop it returns at once,
    and the email is sent in a thread.
    """

    @functools.wraps(send)
    def send_mail(self: AdminEmailHandler, *args: Any, **kwargs: Any) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            send(self, *args, **kwargs)
            return
        # In a task of its own: the request need not wait, and may be cancelled.
        task = asyncio.ensure_future(asyncio.to_thread(send, self, *args, **kwargs))
        _sending.add(task)
        task.add_done_callback(_log_failure)

    return send_mail


def _log_failure(task: asyncio.Future[None]) -> None:
    _sending.discard(task)
    if not task.cancelled() and (error := task.exception()):
        # Not to the logger `django`, which would send another email.
        mail_logger.error("The email to settings.ADMINS was not sent.", exc_info=error)


async def wait_for_emails() -> None:
    """
    Wait until all emails to `settings.ADMINS` that this event loop began to send have
    been sent or have failed. Switches to the event loop.
    """
    loop = asyncio.get_running_loop()
    mine = [task for task in _sending if task.get_loop() is loop]
    await asyncio.gather(*mine, return_exceptions=True)
