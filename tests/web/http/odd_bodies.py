"""Bodies of forms as clients and attackers send them: name, Content-Type, body."""

from __future__ import annotations

URLENCODED = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=X"


def parts(*texts: bytes, end: bytes = b"--X--\r\n") -> bytes:
    return b"".join(b"--X\r\n" + text + b"\r\n" for text in texts) + end


def field(
    content: bytes, disposition: bytes = b'form-data; name="a"', *headers: bytes
) -> bytes:
    lines = [b"Content-Disposition: " + disposition, *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def file(name: bytes, content: bytes = b"content", *headers: bytes) -> bytes:
    """A part with the file name parameter *name*."""
    return field(content, b'form-data; name="f"; ' + name, *headers)


PLAIN = field(b"hello")
TEXT = b"Content-Type: text/plain"

BODIES: dict[str, tuple[bytes, bytes]] = {
    # ----- application/x-www-form-urlencoded
    "percent-encoded UTF-8": (URLENCODED, b"a=Andr%C3%A9"),
    "raw UTF-8": (URLENCODED, "a=André&ä=ö".encode()),
    "raw Latin-1": (URLENCODED, "a=André".encode("latin-1")),
    "raw and encoded UTF-8": (URLENCODED, "a=André+%C3%A9".encode()),
    "raw Latin-1 beside encoded UTF-8": (URLENCODED, b"a=\xe9&b=%C3%A9"),
    "encoded Latin-1": (URLENCODED, b"a=%E9"),
    "half a character": (URLENCODED, b"a=%ED%A0%80"),
    "overlong": (URLENCODED, b"a=%C0%AF"),
    "no percent-encoding": (URLENCODED, b"a=%zz&b=%&c=%1"),
    "NUL": (URLENCODED, b"a=%00b&c=d\x00e"),
    "plus and space": (URLENCODED, b"a=1+2&b=1%2B2&c=1 2"),
    "semicolons": (URLENCODED, b"a=1;b=2&c=3"),
    "empty": (URLENCODED, b""),
    "separators alone": (URLENCODED, b"&&=&"),
    "no values": (URLENCODED, b"a&b=&=c"),
    "equals signs": (URLENCODED, b"a=b=c=="),
    "repeated names": (URLENCODED, b"a=1&a=2&b=3&a=4"),
    "line breaks": (URLENCODED, b"a=1\r\n&b=2\n"),
    "byte order mark": (URLENCODED, b"\xef\xbb\xbfa=1"),
    "charset UTF-8": (URLENCODED + b"; charset=UTF-8", "a=André".encode()),
    "charset utf8": (URLENCODED + b"; charset=utf8", b"a=1"),
    "charset Latin-1": (URLENCODED + b"; charset=latin-1", b"a=%E9"),
    "charset UTF-16": (URLENCODED + b"; charset=utf-16", b"a=1"),
    "unknown charset": (URLENCODED + b"; charset=rubbish", b"a=1"),
    "charset rot13": (URLENCODED + b"; charset=rot13", b"a=1"),
    "charset base64": (URLENCODED + b"; charset=base64", b"a=1"),
    "charset idna": (URLENCODED + b"; charset=idna", b"a=1"),
    "empty charset": (URLENCODED + b"; charset=", b"a=1"),
    "charset with a NUL": (URLENCODED + b"; charset*=utf-8''utf-8%00", b"a=1"),
    "unknown charset of a parameter": (URLENCODED + b"; x*=rubbish''y", b"a=1"),
    "capital letters": (b"Application/X-WWW-Form-Urlencoded", b"a=1"),
    "spaces around the type": (URLENCODED + b" ; charset=utf-8 ", b"a=1"),
    "as many fields as allowed": (URLENCODED, b"&".join([b"a=1"] * 1000)),
    "too many fields": (URLENCODED, b"&".join([b"a=1"] * 1001)),
    "too long": (URLENCODED, b"a=" + b"x" * 2621440),
    "as long as allowed": (URLENCODED, b"a=" + b"x" * 2621438),
    "multipart content": (URLENCODED, parts(PLAIN)),
    "no type": (b"", b"a=1"),
    "another type": (b"text/plain", b"a=1"),
    "two types": (URLENCODED + b", text/plain", b"a=1"),
    # ----- multipart/form-data: the frame
    "a field": (MULTIPART, parts(PLAIN)),
    "a field and a file": (MULTIPART, parts(PLAIN, file(b'filename="f.txt"'))),
    "empty form": (MULTIPART, b"--X--\r\n"),
    "no body": (MULTIPART, b""),
    "no line break at the end": (MULTIPART, parts(PLAIN, end=b"--X--")),
    "preamble": (MULTIPART, b"preamble\r\n" + parts(PLAIN)),
    "epilogue": (MULTIPART, parts(PLAIN) + b"epilogue"),
    "a long epilogue": (MULTIPART, parts(PLAIN) + b"x" * 200_000),
    "bare line feeds": (MULTIPART, parts(PLAIN).replace(b"\r\n", b"\n")),
    "no parts": (MULTIPART, b"garbage"),
    "no boundary": (b"multipart/form-data", parts(PLAIN)),
    "an empty boundary": (b"multipart/form-data; boundary=", parts(PLAIN)),
    "another boundary": (b"multipart/form-data; boundary=Y", parts(PLAIN)),
    "a quoted boundary": (b'multipart/form-data; boundary="X"', parts(PLAIN)),
    "a boundary that ends in a space": (
        b'multipart/form-data; boundary="X "',
        parts(PLAIN),
    ),
    "a long boundary": (b"multipart/form-data; boundary=" + b"X" * 300, parts(PLAIN)),
    "no ASCII in the boundary": (
        "multipart/form-data; boundary=é".encode("latin-1"),
        parts(PLAIN),
    ),
    "an encoded boundary": (b"multipart/form-data; boundary*=utf-8''X", parts(PLAIN)),
    "two boundaries": (MULTIPART + b"; boundary=Y", parts(PLAIN)),
    "the boundary in the content": (MULTIPART, parts(field(b"a--Xb"))),
    "another kind of multipart": (b"multipart/mixed; boundary=X", parts(PLAIN)),
    "a form in a form": (
        MULTIPART,
        parts(
            field(
                b'--Y\r\nContent-Disposition: file; filename="f"\r\n\r\nx\r\n--Y--',
                b'form-data; name="a"',
                b"Content-Type: multipart/mixed; boundary=Y",
            )
        ),
    ),
    "cut off after a part": (MULTIPART, parts(PLAIN, end=b"")),
    "cut off in a field": (MULTIPART, b"--X\r\n" + PLAIN),
    "cut off in the last boundary": (MULTIPART, parts(PLAIN, end=b"--X")),
    "cut off in a file": (MULTIPART, b"--X\r\n" + file(b'filename="f"')),
    # ----- the headers of a part
    "no headers": (MULTIPART, parts(b"\r\ncontent")),
    "no disposition": (MULTIPART, parts(TEXT + b"\r\n\r\ncontent")),
    "no name": (MULTIPART, parts(field(b"1", b"form-data"))),
    "an empty name": (MULTIPART, parts(field(b"1", b'form-data; name=""'))),
    "a name without quotes": (MULTIPART, parts(field(b"1", b"form-data; name=a"))),
    "a name of UTF-8": (
        MULTIPART,
        parts(field(b"1", 'form-data; name="naïve"'.encode())),
    ),
    "a name of Latin-1": (
        MULTIPART,
        parts(field(b"1", 'form-data; name="naïve"'.encode("latin-1"))),
    ),
    "a name with spaces": (MULTIPART, parts(field(b"1", b'form-data; name=" a "'))),
    "quotes in a name": (MULTIPART, parts(field(b"1", b'form-data; name="a\\"b"'))),
    "percent signs in a name": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="%22"')),
    ),
    "an encoded name": (
        MULTIPART,
        parts(field(b"1", b"form-data; name*=utf-8''na%C3%AFve")),
    ),
    "no form-data": (MULTIPART, parts(field(b"1", b'attachment; name="a"'))),
    "two names": (MULTIPART, parts(field(b"1", b'form-data; name="a"; name="b"'))),
    "capital letters in headers": (
        MULTIPART,
        parts(b'CONTENT-DISPOSITION: Form-Data; NAME="a"\r\n\r\n1'),
    ),
    "two dispositions": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="a"', b"Content-Disposition: x; name=b")),
    ),
    "a folded header": (MULTIPART, parts(field(b"1", b'form-data;\r\n name="a"'))),
    "no space after the colon": (
        MULTIPART,
        parts(b'Content-Disposition:form-data; name="a"\r\n\r\n1'),
    ),
    "a space before the colon": (
        MULTIPART,
        parts(b'Content-Disposition : form-data; name="a"\r\n\r\n1'),
    ),
    "a header without a colon": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="a"', b"rubbish")),
    ),
    "a long header": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="a"', b"X-A: " + b"x" * 800)),
    ),
    "a huge header": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="a"', b"X-A: " + b"x" * 20_000)),
    ),
    "no UTF-8 in a header": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="a"', b"X-A: \xff")),
    ),
    # ----- the content of a field
    "UTF-8": (MULTIPART, parts(field("André".encode()))),
    "Latin-1": (MULTIPART, parts(field("André".encode("latin-1")))),
    "Latin-1, said of the form": (
        MULTIPART + b"; charset=latin-1",
        parts(field("André".encode("latin-1"))),
    ),
    "Latin-1, said of the part": (
        MULTIPART,
        parts(
            field(
                "André".encode("latin-1"),
                b'form-data; name="a"',
                b"Content-Type: text/plain; charset=latin-1",
            )
        ),
    ),
    "Latin-1, said in a field": (
        MULTIPART,
        parts(
            field(b"latin-1", b'form-data; name="_charset_"'),
            field("André".encode("latin-1")),
        ),
    ),
    "UTF-16, said of the form": (
        MULTIPART + b"; charset=utf-16",
        parts(field("André".encode("utf-16"))),
    ),
    "a form in an unknown charset": (MULTIPART + b"; charset=rubbish", parts(PLAIN)),
    "a form in rot13": (MULTIPART + b"; charset=rot13", parts(PLAIN)),
    "a form in base64": (MULTIPART + b"; charset=base64", parts(PLAIN)),
    "a form in idna": (MULTIPART + b"; charset=idna", parts(PLAIN)),
    "a form in punycode": (MULTIPART + b"; charset=punycode", parts(PLAIN)),
    "a form in escapes": (
        MULTIPART + b"; charset=unicode_escape",
        parts(field(b"\\u00e9")),
    ),
    "a form in a charset with a NUL": (
        MULTIPART + b"; charset*=utf-8''utf-8%00",
        parts(PLAIN),
    ),
    "an empty field": (MULTIPART, parts(field(b""))),
    "a NUL in a field": (MULTIPART, parts(field(b"a\x00b"))),
    "line breaks in a field": (MULTIPART, parts(field(b"\r\na\r\n\r\nb\r\n"))),
    "a byte order mark in a field": (MULTIPART, parts(field(b"\xef\xbb\xbfa"))),
    "a field in base64": (
        MULTIPART,
        parts(
            field(
                b"aGVsbG8=",
                b'form-data; name="a"',
                b"Content-Transfer-Encoding: base64",
            )
        ),
    ),
    "a field in broken base64": (
        MULTIPART,
        parts(
            field(b"!", b'form-data; name="a"', b"Content-Transfer-Encoding: base64")
        ),
    ),
    "a field in quoted-printable": (
        MULTIPART,
        parts(
            field(
                b"=41",
                b'form-data; name="a"',
                b"Content-Transfer-Encoding: quoted-printable",
            )
        ),
    ),
    "fields of the same name": (MULTIPART, parts(PLAIN, field(b"2"), PLAIN)),
    "as many parts as allowed": (MULTIPART, parts(*[PLAIN] * 1000)),
    "too many parts": (MULTIPART, parts(*[PLAIN] * 1100)),
    "a field that is too long": (MULTIPART, parts(field(b"x" * 2621440))),
    "fields that are too long together": (
        MULTIPART,
        parts(*[field(b"x" * 1_000_000)] * 3),
    ),
    # ----- files
    "a file": (MULTIPART, parts(file(b'filename="f.txt"', b"content", TEXT))),
    "an empty file": (MULTIPART, parts(file(b'filename="f.txt"', b""))),
    "a file that was not chosen": (MULTIPART, parts(file(b'filename=""', b""))),
    "a file name without quotes": (MULTIPART, parts(file(b"filename=f.txt"))),
    "an encoded file name": (
        MULTIPART,
        parts(file(b"filename*=utf-8''na%C3%AFve.txt")),
    ),
    "both file names, as .NET sends": (
        MULTIPART,
        parts(file(b"filename=f.txt; filename*=utf-8''na%C3%AFve.txt")),
    ),
    "both file names, the other way round": (
        MULTIPART,
        parts(file(b"filename*=utf-8''na%C3%AFve.txt; filename=f.txt")),
    ),
    "a file name encoded in Latin-1": (
        MULTIPART,
        parts(file(b"filename*=iso-8859-1''na%EFve.txt")),
    ),
    "a file name in an unknown charset": (
        MULTIPART,
        parts(file(b"filename*=rubbish''f.txt")),
    ),
    "a file name with a language": (
        MULTIPART,
        parts(file(b"filename*=utf-8'en'f.txt")),
    ),
    "a file name of UTF-8": (MULTIPART, parts(file('filename="naïve.txt"'.encode()))),
    "a file name of Latin-1": (
        MULTIPART,
        parts(file('filename="naïve.txt"'.encode("latin-1"))),
    ),
    "a file name in an encoded word": (
        MULTIPART,
        parts(file(b'filename="=?utf-8?q?na=C3=AFve?="')),
    ),
    "quotes in a file name": (MULTIPART, parts(file(b'filename="a\\"b.txt"'))),
    "percent signs in a file name": (MULTIPART, parts(file(b'filename="a%22b.txt"'))),
    "entities in a file name": (MULTIPART, parts(file(b'filename="&#169;&quot;.txt"'))),
    "a semicolon in a file name": (MULTIPART, parts(file(b'filename="a;b.txt"'))),
    "a file name with a path": (MULTIPART, parts(file(b'filename="../../f.txt"'))),
    "a file name of Windows": (MULTIPART, parts(file(b'filename="C:\\dir\\f.txt"'))),
    "a path of entities": (MULTIPART, parts(file(b'filename="..&#x2F;f.txt"'))),
    "an encoded path": (MULTIPART, parts(file(b"filename*=utf-8''..%2Ff.txt"))),
    "a file name that is a folder": (MULTIPART, parts(file(b'filename=".."'))),
    "a file name that ends in a slash": (MULTIPART, parts(file(b'filename="a/"'))),
    "control characters in a file name": (
        MULTIPART,
        parts(file(b'filename="a\x00\x07b.txt"')),
    ),
    "a long file name": (MULTIPART, parts(file(b'filename="' + b"x" * 400 + b'.txt"'))),
    "a file with a charset": (
        MULTIPART,
        parts(
            file(
                b'filename="f"',
                b"\xe9",
                b"Content-Type: text/plain; charset=latin-1; x=y",
            )
        ),
    ),
    "a file of an odd type": (
        MULTIPART,
        parts(file(b'filename="f"', b"", b"Content-Type: ;;;")),
    ),
    "a file in base64": (
        MULTIPART,
        parts(
            file(b'filename="f"', b"aGVs\r\nbG8=", b"Content-Transfer-Encoding: base64")
        ),
    ),
    "a file in broken base64": (
        MULTIPART,
        parts(file(b'filename="f"', b"aGVsb", b"Content-Transfer-Encoding: base64")),
    ),
    "a file with the length of another": (
        MULTIPART,
        parts(file(b'filename="f"', b"content", b"Content-Length: 3")),
    ),
    "a file and a field of the same name": (
        MULTIPART,
        parts(field(b"1", b'form-data; name="f"'), file(b'filename="f"')),
    ),
    "a file without a name of its field": (
        MULTIPART,
        parts(field(b"x", b'form-data; filename="f.txt"')),
    ),
    "a long file": (MULTIPART, parts(file(b'filename="f"', b"x" * 3_000_000))),
    "as many files as allowed": (MULTIPART, parts(*[file(b'filename="f"')] * 100)),
    "too many files": (MULTIPART, parts(*[file(b'filename="f"')] * 101)),
}
