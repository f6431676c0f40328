"""What the command line says of common mistakes, in place of a traceback."""

from __future__ import annotations

import errno

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections
from django.db.migrations.exceptions import (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)

__all__ = ["explain"]

_WRONG_MIGRATIONS = (
    BadMigrationError,
    CircularDependencyError,
    InconsistentMigrationHistory,
    NodeNotFoundError,
)

# How databases say that a table does not exist.
_MISSING_TABLE = ("no such table", "UndefinedTable")
_NOT_WRITABLE = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EPERM, errno.EROFS}
)


def explain(error: Exception) -> str | None:
    """
    Return a message that explains *error* if it is a common mistake, or None. To find
    out what is wrong, it connects to the databases.

    Never switches.
    """
    if isinstance(error, ImproperlyConfigured):
        return str(error)
    if isinstance(error, SyntaxError) and error.filename:
        line = (error.text or "").strip()
        return (
            f"{error.filename}, line {error.lineno}, is not valid Python: {error.msg}."
            f"\n\n    {line}\n\nCorrect the file."
        )
    if isinstance(error, _WRONG_MIGRATIONS):
        return (
            f"{error}\n\nThe migrations do not fit together. Correct their names, or "
            f"the dependencies in their files; --traceback shows where it failed."
        )
    if isinstance(error, EOFError):
        return (
            "The command asks a question, and there is no terminal that could answer "
            "it. Run it in a terminal, or with --no-input if it has that option."
        )
    if isinstance(error, OSError):
        return _of_files(error) if error.errno in _NOT_WRITABLE else None
    if isinstance(error, LookupError):
        text = str(error.args[0]) if error.args else ""
        return text if text.startswith("No installed app with label") else None
    if str(error).startswith("Problem installing fixture"):
        text = str(error).strip()
        # That of a file that is no JSON has no text of its own.
        cause = f" {error.__cause__}" if text.endswith(":") else ""
        return f"{text}{cause}\n\nNothing has been loaded."
    if isinstance(error, (DatabaseError, InterfaceError)):
        return _of_database(error)
    return None


def _of_files(error: OSError) -> str:
    # A file that is open already has no name in the error.
    return (
        f"{error.filename or 'A file'} cannot be used: {error.strerror}. Check who may "
        f"write there, and how much space is left; --traceback shows where it failed."
    )


def _of_database(error: Exception) -> str | None:
    for alias in connections:
        # Connect, to find out whether the connection is what fails.
        connection = connections[alias]
        connection.close()
        try:
            connection.ensure_connection()
        except (DatabaseError, InterfaceError) as refusal:
            address = ", ".join(
                f"{name} {str(value)!r}"
                for name in ("NAME", "USER", "HOST", "PORT")
                if (value := connection.settings_dict[name])
            )
            return (
                f"The database {alias!r} cannot be reached.\n\n"
                f"{str(refusal).strip()}\n\n"
                f"Check that it runs and accepts the user. Its address is in "
                f"settings.DATABASES[{alias!r}]: {address}. In a project that vinyl "
                f"created, it comes from the environment variable DATABASE_URL."
            )
    cause = f"{type(error.__cause__).__name__} {error}"
    if any(words in cause for words in _MISSING_TABLE):
        return (
            f"{str(error).strip()}\n\nA table is missing. `vinyl migrate` creates "
            f"those of all migrations, and `vinyl makemigrations` writes migrations "
            f"for models that have none; --traceback shows where it failed."
        )
    return None
