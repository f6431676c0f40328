"""What logs, spans and pages show of a query: text and parameters, shortened."""

from __future__ import annotations

import functools
import re
import reprlib
from collections.abc import Sized
from typing import Any

from psycopg import sql as psycopg_sql

__all__ = ["describe_params", "summary_of", "text_of"]

# Longer SQL is cut in the middle: what it does is said at its start, and what it is
# limited to often at its end.
LONGEST_SQL = 4000
TAIL = 800
# As the conventions of OpenTelemetry have it.
LONGEST_SUMMARY = 255
# A few values of each kind, for the parameters may be thousands of rows.
_shown = reprlib.Repr()
_shown.maxlist = _shown.maxtuple = _shown.maxdict = 20
_shown.maxstring = _shown.maxother = 200


def text_of(sql: Any) -> str:
    """
    The text of a query, a string or one of psycopg's objects, without the values that
    are composed into it, and shortened to a size fit for a log. Never switches.
    """
    text = _uncut(sql)
    if len(text) <= LONGEST_SQL:
        return text
    cut = len(text) - LONGEST_SQL
    return f"{text[: LONGEST_SQL - TAIL]} [{cut} characters] {text[-TAIL:]}"


def _uncut(sql: Any) -> str:
    match sql:
        case str():
            return sql
        case bytes():
            return sql.decode(errors="replace")
        case psycopg_sql.Composed():
            return "".join(map(_uncut, sql))
        case psycopg_sql.Literal():
            return "%s"
        case psycopg_sql.Composable():
            return sql.as_string(None)
    # What it is made of is unknown, so it may show values.
    return f"<{type(sql).__name__}>"


def describe_params(params: Any, many: bool, shows_params: bool) -> str:
    """
    The parameters of a query, or only how many there are. Uses up none that come from
    an iterator. Never switches.
    """
    if params is None:
        return "no parameters"
    if not isinstance(params, Sized):
        # To count or show it would use it up.
        return "parameters from an iterator"
    if shows_params:
        return f"parameters: {_shown.repr(params)}"
    what = "parameter set" if many else "parameter"
    return f"{len(params)} {what}{'' if len(params) == 1 else 's'}, not shown"


_NAME = r'(?:"[^"]+"|`[^`]+`|[^\W\d]\w*)'
_PARTS = re.compile(
    rf"""
    # Passed over: values, comments, and where the words mean something else.
      '(?:[^']|'')*' | --[^\n]* | /\*.*?\*/
    | \bEXTRACT\s*\(\s*\w+\s+FROM\b | \bDISTINCT\s+FROM\b
    | \b(?:ON|DO|KEY|FOR)\s+(?:DELETE|UPDATE)\b
    | \b(?P<before>FROM|JOIN|INTO|UPDATE|TABLE)\s+
      (?:(?:IF\s+(?:NOT\s+)?EXISTS|ONLY)\s+)?
      (?!LATERAL\b) (?P<table>{_NAME}(?:\.{_NAME})*)
    | "[^"]*"
    | \b(?P<word>[^\W\d]\w*)
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_OPERATIONS = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}


@functools.lru_cache(maxsize=512)
def summary_of(text: str) -> str:
    """
    What a query does and to which tables, in the order of its text, such as
    `SELECT albums artists`; empty if that cannot be told. Never switches.
    """
    parts: list[str] = []
    length = 0
    first = True
    for found in _PARTS.finditer(text):
        before, table, word = found.group("before", "table", "word")
        if table:
            new = [before] if before.upper() == "UPDATE" else []
            new.append(re.sub(r'["`]', "", table))
        elif word and (word.upper() in _OPERATIONS or first):
            # What a WITH does is said by the operations that follow.
            new = [] if word.upper() == "WITH" else [word]
        else:
            continue
        first = False
        length += sum(len(part) + 1 for part in new)
        if length > LONGEST_SUMMARY:
            break
        parts += new
    return " ".join(parts)
