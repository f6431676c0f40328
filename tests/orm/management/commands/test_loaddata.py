"""`vinyl loaddata`, which counts on a terminal what it has loaded."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from django.core.management import call_command

from tests.orm.management.test_progress import Terminal, shown
from tests.records.models import Artist


def test_progress_is_shown_on_a_terminal_only(db: Any, tmp_path: Path) -> None:
    file = tmp_path / "artists.json"
    names = ["Nina", "Abbey", "Größe"]
    rows = [
        {"model": "records.artist", "pk": pk, "fields": {"name": name}}
        for pk, name in enumerate(names, start=1)
    ]
    file.write_text(json.dumps(rows))

    terminal = Terminal()
    call_command("loaddata", str(file), stdout=terminal)

    told = "Installed 3 object(s) from 1 fixture(s)"
    assert Artist.objects.count() == 3
    assert shown(terminal)[0] == f"Loading {file}: 1"
    assert shown(terminal)[-1] == told
    for output, verbosity, printed in [
        (Terminal(), 0, ""),
        (io.StringIO(), 1, f"{told}\n"),
    ]:
        call_command("loaddata", str(file), stdout=output, verbosity=verbosity)
        assert output.getvalue() == printed
