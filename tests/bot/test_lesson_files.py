"""Lesson files of every kind to text, and bad ones to one clear line, without harm to us."""

from __future__ import annotations

import io
import time
import zipfile
import zlib

import pytest

from bot.lesson_files import LARGEST_BYTES, UnreadableFile, read_lesson_file
from data.vocabulary import Language

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
TEXT = "豆腐由大豆制成。\nTofu is made from soy beans."


def docx(body: str = "", *, markup: bytes | None = None, name: str = "word/document.xml") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        paragraphs = "".join(
            f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in body.split("\n")
        )
        document = f'<w:document xmlns:w="{WORD}"><w:body>{paragraphs}</w:body></w:document>'
        archive.writestr(name, markup if markup is not None else document)
    return file.getvalue()


def pdf(text: str, *, n_pages: int = 1, extra: str = "") -> bytes:
    """A small PDF written by hand: one font, one line of text a page."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(n_pages))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {extra} >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {n_pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for i in range(n_pages):
        stream = f"BT /F1 12 Tf 20 700 Td ({text}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents {5 + 2 * i} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += "".join(f"{offset:010d} 00000 n \n" for offset in offsets).encode()
    return out + (
        f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", TEXT.encode()),
        ("a.txt", TEXT.encode("utf-8-sig")),
        ("a.txt", TEXT.encode("utf-16")),
        ("A.TXT", TEXT.encode("gb18030")),
        ("a.md", f"# 豆腐\n\n{TEXT}".encode()),
        ("a.html", f"<html><title>豆腐</title><style>b{{}}</style><p>{TEXT}</p><script>no()</script>".encode()),
        ("a.srt", f"1\r\n00:00:01,000 --> 00:00:04,000\r\n<i>{TEXT}</i>\r\n".encode()),
        ("a.vtt", f"WEBVTT\n\nintro\n00:01.000 --> 00:04.000\n{TEXT}\n".encode()),
        ("a.docx", docx(TEXT)),
    ],
    ids=["utf-8", "bom", "utf-16", "gb18030", "md", "html", "srt", "vtt", "docx"],
)  # fmt: skip
def test_the_words_of_every_kind_of_file_come_out(name: str, content: bytes) -> None:
    found = read_lesson_file(name, content)

    assert "豆腐由大豆制成。" in found.text
    assert "Tofu is made from soy beans." in found.text
    assert not any(scrap in found.text for scrap in ("no()", "b{}", "-->", "<i>", "WEBVTT"))


def test_a_pdf_gives_its_text() -> None:
    assert "soy beans" in read_lesson_file("a.pdf", pdf("Tofu is made from soy beans.")).text


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("day one.txt", (TEXT + " " + "long " * 60).replace("\n", " ").encode(), "day one"),
        ("a.md", f"# 豆腐的一天\n{TEXT}".encode(), "豆腐的一天"),
        (
            "a.html",
            f"<title>site</title><h1>豆腐 &amp; miso</h1><p>{TEXT}".encode(),
            "豆腐 & miso",
        ),
    ],
    ids=["file name", "markdown heading", "html heading"],
)
def test_a_title_is_found(name: str, content: bytes, title: str) -> None:
    assert read_lesson_file(name, content).title == title


def _encrypted_docx() -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600


def _bomb() -> bytes:
    return docx(markup=b"<x>" + b" " * 80_000_000 + b"</x>")


def _lying_bomb() -> bytes:
    """The directory says 10 bytes; the stream holds 80 MB."""
    content = bytearray(_bomb())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        place = content.find(mark)
        content[place + offset : place + offset + 4] = (10).to_bytes(4, "little")
    return bytes(content)


def _entities() -> bytes:
    steps = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(12))
    return docx(markup=f'<!DOCTYPE x [<!ENTITY e0 "lol">{steps}]><x>&e12;</x>'.encode())


def _pdf_bomb() -> bytes:
    """A page whose content stream unpacks to 1 GB."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b" " * 1_000_000) for _ in range(1000)) + packer.flush()
    head = pdf("x").replace(b"%%EOF\n", b"")
    old = head[head.index(b"5 0 obj") : head.index(b"endobj", head.index(b"5 0 obj"))]
    new = b"5 0 obj\n<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream\n" % (
        len(packed), packed,
    )  # fmt: skip
    return head.replace(old, new)


@pytest.mark.parametrize(
    ("name", "make", "keys"),
    [
        ("a.exe", lambda: b"MZ", {"kind"}),
        ("noending", lambda: b"text", {"kind"}),
        ("a.txt", lambda: b"", {"empty"}),
        ("a.txt", lambda: b" \n\n ", {"empty"}),
        ("a.txt", lambda: b"x" * (LARGEST_BYTES + 1), {"large"}),
        ("a.txt", lambda: bytes(range(256)) * 20, {"not_text"}),
        ("a.pdf", lambda: b"PK\x03\x04 not a pdf", {"mismatch"}),
        ("a.pdf", lambda: b"%PDF-1.7\n" + b"garbage " * 50, {"broken"}),
        ("a.pdf", lambda: pdf("x", n_pages=301), {"pages"}),
        ("a.pdf", _pdf_bomb, {"resources", "broken", "empty"}),
        ("a.docx", lambda: b"%PDF-1.7", {"mismatch"}),
        ("a.docx", lambda: docx(TEXT)[:200], {"broken"}),
        ("a.docx", lambda: docx(TEXT, name="other.xml"), {"mismatch"}),
        ("a.docx", lambda: docx(markup=b"<a><b></a>"), {"broken"}),
        ("a.docx", _encrypted_docx, {"encrypted"}),
        ("a.docx", _bomb, {"unpacked"}),
        ("a.docx", _lying_bomb, {"unpacked", "broken"}),
        ("a.docx", _entities, {"broken"}),
        ("a.html", lambda: b"<script>only()</script>", {"empty"}),
    ],
    ids=["kind", "no ending", "empty", "blank", "large", "binary", "pdf mismatch", "pdf broken",
         "pages", "pdf bomb", "docx mismatch", "docx cut", "docx other", "docx xml", "encrypted",
         "zip bomb", "lying zip", "entities", "html empty"],
)  # fmt: skip
def test_a_bad_file_gets_one_clear_line_in_both_languages(
    name: str, make: object, keys: set[str]
) -> None:
    content = make()  # type: ignore[operator]
    began = time.monotonic()

    with pytest.raises(UnreadableFile) as raised:
        read_lesson_file(name, content)

    assert raised.value.key in keys
    assert time.monotonic() - began < 30
    for language in Language:
        line = raised.value.told(language)
        assert "\n" not in line
        assert name in line


def test_a_parser_that_takes_too_long_is_ended() -> None:
    with pytest.raises(UnreadableFile) as raised:
        read_lesson_file("a.txt", TEXT.encode(), timeout_seconds=0.001)

    assert raised.value.key == "resources"


def test_a_long_text_is_cut_and_says_so() -> None:
    found = read_lesson_file("a.txt", ("豆腐。" * 100_000).encode())

    assert found.is_cut
    assert len(found.text) == 200_000


def test_a_strange_file_name_cannot_break_the_line() -> None:
    with pytest.raises(UnreadableFile) as raised:
        read_lesson_file("a\n\x1b[31mb.exe", b"x")

    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)
