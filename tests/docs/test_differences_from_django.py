"""docs/topics/differences-from-django.md names what replaces Django's middleware."""

from __future__ import annotations

import re

from tests.docs.pages import text_of
from vinyl.web.middleware import REPLACEMENTS


def test_each_replacement_is_listed() -> None:
    rows = re.findall(
        r"^\| `([\w.]+)` \| (?:`([\w.]+)`|none)",
        text_of("topics/differences-from-django.md"),
        re.M,
    )
    assert {old: new or None for old, new in rows} == REPLACEMENTS
