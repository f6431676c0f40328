"""What logs, spans and pages show of a query: its text and parameters, shortened."""

from __future__ import annotations

import functools
import re
import reprlib
from collections.abc import Sized
from typing import Any

__all__ = ["describe_params", "summary_of", "text_of"]

# In characters. Longer SQL is cut in the middle: its start shows what it does, and its
# end often what limits it.
LONGEST_SQL = 4000
TAIL = 800
# From the conventions of OpenTelemetry.
LONGEST_SUMMARY = 255
# How much of the SQL is read for a summary.
LONGEST_READ = 100_000
# A few values of each kind, because there may be thousands of rows.
_shown = reprlib.Repr()
_shown.maxlist = _shown.maxtuple = _shown.maxdict = 20
_shown.maxstring = _shown.maxother = 200


def text_of(sql: Any) -> str:
    """
    Return the text of a query, cut to 4,000 characters. Never switches.

    Args:
        sql: A string, bytes, or one of psycopg's objects, which is shown without the
            values that are composed into it.
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

    # Imported with the first use: psycopg takes as long as all of vinyl, and a process
    # that uses SQLite does not need it.
    from psycopg.sql import Composable, Composed, Literal

    match sql:
        case Composed():
            return "".join(map(_uncut, sql))
        case Literal():
            return "%s"
        case Composable():
            return sql.as_string(None)
    # An unknown object might show values.
    return f"<{type(sql).__name__}>"


def describe_params(params: Any, many: bool, shows_params: bool) -> str:
    """
    Return a description of a query's parameters. Those from an iterator are not read.
    Never switches.

    Args:
        params: The parameters, or with *many* the parameter sets. None if there are
            none.
        shows_params: Whether to show a few values, or only how many there are.
    """
    if params is None:
        return "no parameters"
    if not isinstance(params, Sized):
        # An iterator can be read only once, by the driver.
        return "parameters from an iterator"
    if shows_params:
        return f"parameters: {_shown.repr(params)}"
    what = "parameter set" if many else "parameter"
    return f"{len(params)} {what}{'' if len(params) == 1 else 's'}, not shown"


_NAME = r'(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|[^\W\d][\w$]*)'
_QUOTED = r'"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)'
_GAP = r"(?>\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+"
_PARTS = rf"""
    # Skipped: values, placeholders, comments, and keywords with another meaning. A
    # value that is not closed extends to the end of the text.
      \bE'(?:[^'\\]|''|\\.)*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z)
    | (?<!\w)\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    # Together, because there may be thousands: rows of an INSERT, values of an IN.
    | (?>\([%s,\s]*\)[,\s]*)+ | (?>%s[,\s]*)+
    | %\(\w+\)s | --[^\n]* | /\*.*?(?:\*/|\Z)
    | \bDISTINCT{_GAP}FROM\b
    | \b(?:ON|DO|KEY|FOR){_GAP}(?:DELETE|UPDATE)\b
    | (?P<bracket>[()])
    | (?<!\.)\b(?P<before>FROM|JOIN|INTO|UPDATE|TABLE){_GAP}
      (?:(?:IF\s+(?:NOT\s+)?EXISTS|ONLY){_GAP})?
      (?!LATERAL\b) (?P<table>{_NAME}(?:\s*\.\s*{_NAME})*)
    | {_QUOTED}
    | (?<![.:@$])\b(?P<word>[^\W\d][\w$]*)
    """


@functools.cache
def _parts() -> re.Pattern[str]:
    # Compiled with the first use, which takes 3 ms.
    return re.compile(_PARTS, re.IGNORECASE | re.DOTALL | re.VERBOSE)


_OPERATIONS = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}


def summary_of(sql: Any) -> str:
    """
    Return what a query does and to which tables, in the order of its text, such as
    `SELECT albums artists`. Empty if that is unknown. An operation or a table is only
    repeated after another operation: `INSERT albums SELECT artists`.

    Args:
        sql: As for text_of(). Not what that returns, where half a value may be left.

    Never switches.
    """
    text = _uncut(sql)
    if len(text) <= LONGEST_SQL:
        return _summary(text)
    # Not cached: the cache would keep the text alive.
    return _summary.__wrapped__(text[:LONGEST_READ])


@functools.lru_cache(maxsize=512)
def _summary(text: str) -> str:
    parts: list[str] = []
    operation = ""
    tables: set[str] = set()
    length = 0
    # For each open bracket, whether it contains an operation. Without one, FROM belongs
    # to a function: EXTRACT(YEAR FROM released).
    operates = [True]
    for found in _parts().finditer(text):
        bracket, before, name, word = found.group("bracket", "before", "table", "word")
        if bracket == "(":
            operates.append(False)
        elif bracket and len(operates) > 1:
            operates.pop()
        new = []
        if name and before.upper() == "UPDATE":
            word = before
        if word and (word.upper() in _OPERATIONS or not operation):
            operates[-1] = True
            # After WITH, the operations inside show what it does.
            if word.upper() not in (operation, "WITH"):
                new.append(word)
                tables = set()
            operation = word.upper()
        if name and (operates[-1] or before.upper() != "FROM"):
            table = ".".join(map(_unquoted, re.findall(_NAME, name)))
            if table not in tables:
                new.append(table)
                tables.add(table)
        length += sum(len(part) + 1 for part in new)
        if length > LONGEST_SUMMARY:
            break
        parts += new
    return " ".join(parts)


def _unquoted(name: str) -> str:
    quote = name[0]
    if quote == "[":
        return name[1:-1]
    return name[1:-1].replace(quote * 2, quote) if quote in '"`' else name
