"""`vinyl dumpdata`: Django's, whose file is complete or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import dumpdata

__all__ = ["Command"]


class Command(dumpdata.Command):
    """
    Write the contents of the database as a fixture. A file of an earlier run is kept
    until the new one is complete.
    """

    def handle(self, *app_labels: Any, **options: Any) -> None:
        output = options.get("output")
        # Not a device or a pipe, such as /dev/stdout.
        if not output or (os.path.exists(output) and not os.path.isfile(output)):
            super().handle(*app_labels, **options)
            return
        target = Path(os.path.realpath(output))
        try:
            scratch = tempfile.TemporaryDirectory(prefix=".dump-", dir=target.parent)
        except OSError as error:
            raise CommandError(
                f"Unable to serialize database: {target.parent} cannot be written to: "
                f"{error.strerror}. Choose another folder for --output."
            ) from error
        with scratch as folder:
            # Django's command chooses compression, and another name, by the extension.
            partial = os.path.join(folder, target.name)
            super().handle(*app_labels, **{**options, "output": partial})
            for name in os.listdir(folder):
                os.replace(os.path.join(folder, name), target.parent / name)
