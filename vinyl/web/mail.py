"""
Django's functions for e-mail, dual-mode: awaited in an async view, called plainly in a
`def` view, and in a worker thread in both, so that no mail server holds up the event
loop.

    await send_mail("Hello", "How are you?", None, ["nina@example.org"])

The functions of `django.core.mail` do the same inside the bridge; on the event loop
itself they block, as in Django.
"""

from __future__ import annotations

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
    """Django's, whose `send()` is dual-mode."""

    send = use_driver(mail.EmailMessage.send)


class EmailMultiAlternatives(mail.EmailMultiAlternatives):
    """Django's, whose `send()` is dual-mode."""

    send = use_driver(mail.EmailMultiAlternatives.send)
