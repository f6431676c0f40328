"""Files of CSV that visitors upload, also broken and hostile ones."""

from __future__ import annotations

import codecs

import pytest
from django.core.exceptions import ValidationError

from vinyl.web.admin.tables import read_table

TEXT = "title,year\nLöwe,1965\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "cp1252"),
        (TEXT.encode("cp1252"), "cp1252"),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), "utf-8"),
        (TEXT.replace("\n", "\r\n").encode(), "utf-8"),
        (TEXT.replace("\n", "\n\n").encode(), "utf-8"),
    ],
    ids=["utf-8", "mark", "cp1252", "utf-16", "crlf", "empty lines"],
)
def test_encodings_and_ends_of_lines(data: bytes, encoding: str) -> None:
    table = read_table(data, encoding, 10)
    assert table.header == ["title", "year"]
    assert [cells for _, cells in table.rows] == [["Löwe", "1965"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"], ids=repr)
def test_delimiters(delimiter: str) -> None:
    text = f'a{delimiter}b\n"x, y; z"{delimiter}"two\nlines"\n1{delimiter}2\n'
    table = read_table(text.encode(), "utf-8", 10)
    assert table.rows == [(3, ["x, y; z", "two\nlines"]), (4, ["1", "2"])]


def test_formulas_lose_the_apostrophe_of_an_export() -> None:
    table = read_table(b"a,b,c\n'=1+1,'plain,''=1\n", "utf-8", 10)
    assert table.rows == [(2, ["=1+1", "'plain", "'=1"])]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no rows"),
        (b"a,b\n", "no rows"),
        (TEXT.encode("cp1252"), "not encoded in UTF-8 \\(byte 13\\)"),
        (b"\xff\xfea", "not encoded in UTF-16"),
        (b"a\0,b\n1,2\n", "null bytes"),
        (b"PK\x03\x04\x00\x00", "null bytes"),
        (b"a,a\n1,2\n", "same name: a"),
        (b'a,b\n1,"2\n', "Line 2 of the file is not valid CSV"),
        (b'a,b\n1,"2"x\n', "Line 2 of the file is not valid CSV"),
        (b"a\n" + b"x" * 200_000 + b"\n", "not valid CSV"),
        (b"a\n" + b"1\n" * 11, "more than 10 rows"),
        (b"a" + b"," * 300 + b"\n1\n", "more than 200 columns"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_table_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        read_table(data, "utf-8", 10)
