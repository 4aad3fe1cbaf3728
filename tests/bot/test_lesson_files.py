"""Lesson files of every kind to text, and bad ones to one clear line, without harm to us."""

from __future__ import annotations

import io
import resource
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.lesson_files import LARGEST_BYTES, UnreadableFile, read_lesson_file
from bot.lesson_parsing import CPU_SECONDS
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

    with pytest.raises(UnreadableFile) as raised:
        read_lesson_file(name, content)

    assert raised.value.key in keys
    for language in Language:
        line = raised.value.told(language)
        assert "\n" not in line
        assert name in line


def _archive(members: dict[str, bytes], *, is_packed: bool = True) -> bytes:
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if is_packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _document(text: str) -> bytes:
    """Only the part of a .docx that holds the words."""
    with zipfile.ZipFile(io.BytesIO(docx(text))) as archive:
        return archive.read("word/document.xml")


def _russian_doll() -> bytes:
    inner = docx(TEXT)
    for _ in range(30):
        inner = _archive({"word/document.xml": _document(TEXT), "word/embedded.zip": inner})
    return inner


def _pdf_of(objects: list[bytes]) -> bytes:
    numbered = [b"%d 0 obj\n%s\nendobj\n" % (n, body) for n, body in enumerate(objects, start=1)]
    return b"%PDF-1.4\n" + b"".join(numbered) + b"trailer\n<< /Size 9 /Root 1 0 R >>\n"


_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
_PAGES_OF_THEMSELVES = [_CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"]
_FORM = b"<< /XObject << /F 5 0 R >> >>"
_FORM_THAT_DRAWS_ITSELF = [
    _CATALOG,
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources %s >>" % _FORM,
    b"<< /Length 5 >>\nstream\n/F Do\nendstream",
    b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 11 /Resources %s >>\n"
    b"stream\n/F Do /F Do\nendstream" % _FORM,
]


def _pdf_whose_trailers_go_in_circles() -> bytes:
    head = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
    table = b"xref\n0 2\n0000000000 65535 f \n0000000009 00000 n \n"
    trailer = b"trailer\n<< /Size 2 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return head + table + trailer % (len(head), len(head))


def _encrypted_pdf() -> bytes:
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("a password", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


HOSTILE: dict[str, tuple[str, Callable[[], bytes], set[str]]] = {
    "2 500 members": (
        "a.docx",
        lambda: _archive({f"{n}": b"" for n in range(2_500)} | {"word/document.xml": b"<x/>"}),
        {"unpacked"},
    ),
    "two million open tags": ("a.docx", lambda: docx(markup=b"<a>" * 2_000_000), {"unpacked"}),
    "tags that do not pack well": (
        "a.docx",
        lambda: _archive({"word/document.xml": b"<a>" * 2_000_000}, is_packed=False),
        {"broken", "resources"},
    ),
    "entities from outside": (
        "a.docx",
        lambda: docx(
            markup=b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
        ),
        {"broken"},
    ),
    "pages of themselves": ("a.pdf", lambda: _pdf_of(_PAGES_OF_THEMSELVES), {"broken", "empty", "pages"}),
    "a form that draws itself": (
        "a.pdf", lambda: _pdf_of(_FORM_THAT_DRAWS_ITSELF), {"broken", "empty", "resources"},
    ),
    "trailers in circles": ("a.pdf", _pdf_whose_trailers_go_in_circles, {"empty", "broken"}),
    "an array without end": (
        "a.pdf", lambda: b"%PDF-1.4\n1 0 obj\n" + b"[ " * 1_000_000, {"broken", "resources"},
    ),
    "an encrypted pdf": ("a.pdf", _encrypted_pdf, {"encrypted", "broken"}),
    "10 MB of open tags": (
        "a.html", lambda: b"<div>" * 2_000_000, {"empty", "resources"},
    ),
    "10 MB of one attribute": ("a.html", lambda: b"<p " + b"a='" * 3_000_000, {"resources", "empty"}),
    "broken gb18030": ("a.txt", lambda: "豆腐".encode("gb18030") * 10 + b"\xff\xff", {"not_text"}),
    "broken utf-8": ("a.txt", lambda: b"\xe8\xb1\x86\xe8\xff\xfe\x00\x01" * 50, {"not_text"}),
    "a picture called text": ("a.txt", lambda: b"\x89PNG\r\n\x1a\n" + bytes(500), {"not_text"}),
    "a zip called pdf": ("a.pdf", lambda: docx(TEXT), {"mismatch"}),
    "a pdf called docx": ("a.docx", lambda: pdf("x"), {"mismatch"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_ends_in_one_clear_line_within_its_limits(name: str) -> None:
    file, make, keys = HOSTILE[name]
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    with pytest.raises(UnreadableFile) as raised:
        read_lesson_file(file, make(), timeout_seconds=120)

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert raised.value.key in keys
    assert "\n" not in str(raised.value)
    # Of the parser, not of a clock on the wall: a busy machine is no failure.
    assert used.ru_utime - before < CPU_SECONDS + 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: _archive(
            {
                "../../../../../../tmp/zhiwei-was-here": b"x",
                "/tmp/zhiwei-was-here": b"x",
                "word/document.xml": _document(TEXT),
            }
        ),
        _russian_doll,
    ],
    ids=["members outside of the folder", "archives in archives"],
)
def test_only_the_one_member_with_the_words_is_ever_unpacked(make: Callable[[], bytes]) -> None:
    found = read_lesson_file("a.docx", make())

    assert found.text == TEXT
    assert not Path("/tmp/zhiwei-was-here").exists()


def test_a_pdf_that_lies_about_its_pages_gives_those_it_has() -> None:
    lying = pdf("Tofu is made from soy beans.").replace(b"/Count 1", b"/Count 99999999")

    assert "soy beans" in read_lesson_file("a.pdf", lying).text


def test_script_of_a_page_is_neither_run_nor_read() -> None:
    page = (
        b"<script>" + b"if (a<b) alert(1);" * 200_000 + b"</script><p onclick=x()>Tofu is soy.</p>"
    )

    assert read_lesson_file("a.html", page).text == "Tofu is soy."


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
