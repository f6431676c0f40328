from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.utils.log import AdminEmailHandler


@pytest.fixture
def outbox() -> Iterator[list[Any]]:
    """The emails sent by the handler that Django's default logging attaches."""
    logger = logging.getLogger("django")
    handler = AdminEmailHandler(include_html=True)
    handler.setLevel(logging.ERROR)
    before = logger.handlers[:]
    logger.handlers = [handler]
    mail.outbox = []
    yield mail.outbox
    logger.handlers = before
