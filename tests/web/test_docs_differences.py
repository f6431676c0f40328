"""docs/topics/differences-from-django.md names what replaces Django's middleware."""

from __future__ import annotations

import re
from pathlib import Path

from vinyl.web.application import REPLACEMENTS

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "differences-from-django.md"


def test_each_replacement_is_told() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (?:`([\w.]+)`|none)", PAGE.read_text(), re.M)
    assert {old: new or None for old, new in rows} == REPLACEMENTS
