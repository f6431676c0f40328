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
# Characters that are read for a summary.
LONGEST_READ = 100_000
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


_NAME = r'(?:"(?:[^"]|"")+"|`(?:[^`]|``)+`|\[[^\]]+\]|[^\W\d][\w$]*)'
_QUOTED = r'"(?:[^"]|"")*(?:"|\Z)|`(?:[^`]|``)*(?:`|\Z)'
_GAP = r"(?>\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)+"
_PARTS = re.compile(
    rf"""
    # Passed over: values, placeholders, comments, and where the words mean something
    # else. A value without its end goes on to the end of the text.
      \bE'(?:[^'\\]|''|\\.)*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z)
    | (?<!\w)\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
    # At once, since there may be thousands: the rows of an INSERT, the values of an IN.
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
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_OPERATIONS = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}


def summary_of(sql: Any) -> str:
    """
    What a query does and to which tables, in the order of its text, such as
    `SELECT albums artists`; empty if that cannot be told. An operation is named again
    after another one only, and so is a table: `INSERT albums SELECT artists`.
    Takes what text_of() takes, not what it gives: cut SQL may have half a value in it.

    Never switches.
    """
    text = _uncut(sql)
    if len(text) <= LONGEST_SQL:
        return _summary(text)
    # The cache would keep it.
    return _summary.__wrapped__(text[:LONGEST_READ])


@functools.lru_cache(maxsize=512)
def _summary(text: str) -> str:
    parts: list[str] = []
    operation = ""
    tables: set[str] = set()
    length = 0
    # Whether there is an operation, in each of the brackets that are open. Where there
    # is none, FROM is a word of a function: EXTRACT(YEAR FROM released).
    operates = [True]
    for found in _PARTS.finditer(text):
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
            # What a WITH does is said by the operations that follow.
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
