"""Tables that visitors upload: CSV of an unknown delimiter and encoding, checked."""

from __future__ import annotations

import codecs
import csv
import io

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from vinyl.records import NamedTuple
from vinyl.web.admin.exporting import DANGEROUS

__all__ = ["ENCODINGS", "Table", "read_table"]

# What a visitor can choose. UTF-16 is told by its mark.
ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": "Windows-1252 (Western European)",
    "cp1250": "Windows-1250 (Central European)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "cp1254": "Windows-1254 (Turkish)",
    "cp932": "Windows-932, Shift_JIS (Japanese)",
    "gb18030": "GB 18030 (Chinese)",
}

DELIMITERS = ",;\t|"
MAX_COLUMNS = 200


class Table(NamedTuple):
    """
    The content of a file.

    Args:
        header: The names of the columns.
        rows: The number of the line of each row, with its cells.
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]


def read_table(data: bytes, encoding: str, max_rows: int) -> Table:
    """
    Return the table in a file of CSV. Never switches.

    Args:
        data: The file.
        encoding: A key of `ENCODINGS`; a mark at the beginning of the file wins.
        max_rows: The longest table that is accepted.

    Raises:
        ValidationError: It is no such table. The text is for the visitor.
    """
    text = _decoded(data, encoding)
    if "\0" in text:
        raise ValidationError(
            gettext("The file contains null bytes: it is not CSV. Export it as CSV.")
        )
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    # A mistake is an error, and not a cell that goes on to the end of the file.
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    try:
        for cells in lines:
            if not any(cells):
                continue
            if not header:
                header = _header(cells)
                continue
            if len(rows) == max_rows:
                message = gettext("The file has more than %(count)d rows. Divide it.")
                raise ValidationError(message % {"count": max_rows})
            rows.append((lines.line_num, [_unescaped(cell) for cell in cells]))
    except csv.Error as error:
        message = gettext("Line %(line)d of the file is not valid CSV: %(error)s.")
        raise ValidationError(
            message % {"line": lines.line_num, "error": error}
        ) from error
    if not rows:
        raise ValidationError(gettext("The file has no rows below its header."))
    return Table(header, rows)


def _decoded(data: bytes, encoding: str) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif data.startswith(codecs.BOM_UTF8) or encoding == "utf-8":
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        message = gettext(
            "The file is not encoded in %(encoding)s (byte %(place)d). Save it as “CSV "
            "UTF-8”, or choose another encoding."
        )
        name = ENCODINGS.get(encoding, encoding.removesuffix("-sig").upper())
        raise ValidationError(
            message % {"encoding": name, "place": error.start + 1}
        ) from error


def _header(cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    if len(header) > MAX_COLUMNS:
        message = gettext("The file has more than %(count)d columns.")
        raise ValidationError(message % {"count": MAX_COLUMNS})
    twice = {name for name in header if name and header.count(name) > 1}
    if twice:
        message = gettext("Two columns of the file have the same name: %(names)s.")
        raise ValidationError(message % {"names": ", ".join(sorted(twice))})
    return header


def _unescaped(cell: str) -> str:
    """*cell* without the apostrophe that an export puts before formulas."""
    if cell.startswith("'") and cell.lstrip("'").startswith(DANGEROUS):
        return cell[1:]
    return cell
