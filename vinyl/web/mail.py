"""
Django's functions for e-mail, dual-mode: await them in an async view, and call them
without `await` in a plain view. Mail is sent in a worker thread, so that a slow mail
server does not block the event loop.

    await send_mail("Hello", "How are you?", None, ["nina@example.org"])

The functions of `django.core.mail` do the same inside the bridge; called on the event
loop itself they block it, as in Django.
"""

from __future__ import annotations

from typing import Any

from django.core import mail

from vinyl.bridge.flows import use_driver

__all__ = [
    "EmailMessage",
    "EmailMultiAlternatives",
    "mail_admins",
    "mail_managers",
    "send_mail",
    "send_mass_mail",
]

mail_admins = use_driver(mail.mail_admins)
mail_managers = use_driver(mail.mail_managers)
send_mail = use_driver(mail.send_mail)
send_mass_mail = use_driver(mail.send_mass_mail)


class EmailMessage(mail.EmailMessage):
    """Django's EmailMessage, whose `send()` is dual-mode."""

    @use_driver
    def send(self, *args: Any, **kwargs: Any) -> int:
        return super().send(*args, **kwargs)


class EmailMultiAlternatives(mail.EmailMultiAlternatives):
    """Django's EmailMultiAlternatives, whose `send()` is dual-mode."""

    @use_driver
    def send(self, *args: Any, **kwargs: Any) -> int:
        return super().send(*args, **kwargs)
