"""The parser of lesson files. Runs as a script in a process of its own; imports nothing of ours.

Reads the file from standard input, its ending from the first argument; writes JSON: `title` and `text`,
or `problem`.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from xml.parsers import expat

if TYPE_CHECKING:
    from pypdf import PdfReader

MEMORY_BYTES = 700 * 1024 * 1024
CPU_SECONDS = 12
MAX_PAGES = 300
MAX_UNPACKED_BYTES = 60 * 1024 * 1024
MAX_ENTRIES = 2_000
MAX_RATIO = 200
"""Unpacked to packed; text seldom exceeds 20."""
MAX_CHARACTERS = 400_000


class UnusableError(Exception):
    """A file that cannot be used; the argument names why."""


def parse(suffix: str, content: bytes) -> tuple[str, str]:
    """Give title and text.

    Raises:
        UnusableError: the file is broken, empty, encrypted, or larger inside than allowed.
    """
    match suffix:
        case ".pdf":
            return _pdf(content)
        case ".docx":
            return _docx(content)
        case ".html" | ".htm":
            return _html(_decoded(content))
        case ".srt" | ".vtt":
            return "", _subtitles(_decoded(content))
        case _:
            text = _decoded(content)
            return _heading(text), text


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Control characters mean that these bytes are no text, whatever decodes them.
        if sum(c < " " and c not in "\t\n\r\f" for c in text) > len(text) / 200:
            break
        return text.replace("\r\n", "\n").replace("\r", "\n")
    raise UnusableError("not_text")


def _heading(text: str) -> str:
    for line in text.splitlines():
        if line.strip():
            bare = line.strip()
            is_heading = bare.startswith("#") or len(bare) <= 60
            return bare.lstrip("# ").strip() if is_heading else ""
    return ""


_TIMES = re.compile(r"^\s*(?:\d+:)?\d{1,2}:\d{2}[.,]\d{1,3}\s*-->")
_TAGS = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,100}\}")


def _subtitles(text: str) -> str:
    """What is said, without numbers, times and looks; a line that repeats is kept once."""
    lines: list[str] = []
    rows = text.splitlines()
    for place, row in enumerate(rows):
        following = rows[place + 1] if place + 1 < len(rows) else ""
        if _TIMES.match(row) or row.startswith(("WEBVTT", "NOTE ", "STYLE", "REGION")):
            continue
        if _TIMES.match(following):  # the cue's number or name
            continue
        said = _TAGS.sub("", row).strip()
        if said and (not lines or lines[-1] != said):
            lines.append(said)
    return "\n".join(lines)


class _Page(HTMLParser):
    _SILENT = frozenset({"script", "style", "noscript", "template", "svg", "head", "nav"})
    _BREAKS = frozenset(
        {"p", "div", "br", "li", "tr", "section", "article", "blockquote", "h1", "h2", "h3",
         "h4", "h5", "h6", "ul", "ol", "table", "header", "footer", "main", "figure"}
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.titles: dict[str, list[str]] = {"title": [], "h1": []}
        self._silent: list[str] = []
        self._title = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._SILENT:
            self._silent.append(tag)
        if tag in self.titles:
            self._title = tag
        if tag in self._BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._silent:
            while self._silent.pop() != tag:
                pass
        if tag == self._title:
            self._title = ""
        if tag in self._BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._title:
            self.titles[self._title].append(data)
        if not self._silent:
            self.parts.append(re.sub(r"\s+", " ", data))


def _html(markup: str) -> tuple[str, str]:
    page = _Page()
    page.feed(markup)
    page.close()
    lines = (line.strip() for line in "".join(page.parts).splitlines())
    text = "\n".join(line for line in lines if line)
    titles = ("".join(page.titles[name]).strip() for name in ("h1", "title"))
    return " ".join(next((t for t in titles if t), "").split()), text


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def _docx(content: bytes) -> tuple[str, str]:
    if not content.startswith(b"PK"):
        raise UnusableError("encrypted" if content.startswith(b"\xd0\xcf\x11\xe0") else "mismatch")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            _check_archive(archive)
            with archive.open("word/document.xml") as file:
                # The stated size may lie, so the reading has its own limit.
                markup = file.read(MAX_UNPACKED_BYTES + 1)
    except KeyError:
        raise UnusableError("mismatch") from None
    except RuntimeError:
        raise UnusableError("encrypted") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, OSError, EOFError):
        raise UnusableError("broken") from None
    if len(markup) > MAX_UNPACKED_BYTES:
        raise UnusableError("unpacked")
    text = _word_text(markup)
    return _heading(text), text


def _check_archive(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise UnusableError("unpacked")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
        raise UnusableError("unpacked")
    for entry in entries:
        if entry.file_size > 1_000_000 and entry.file_size > MAX_RATIO * entry.compress_size:
            raise UnusableError("unpacked")


def _word_text(markup: bytes) -> str:
    """The words of a document; a document type, with which entities could grow, is refused."""
    parts: list[str] = []
    is_text = False

    def refuse(*_: object) -> None:
        raise UnusableError("broken")

    def start(name: str, _: object) -> None:
        nonlocal is_text
        match name.removeprefix(f"{_WORD} "):
            case "t":
                is_text = True
            case "tab":
                parts.append("\t")
            case "br" | "cr":
                parts.append("\n")

    def end(name: str) -> None:
        nonlocal is_text
        match name.removeprefix(f"{_WORD} "):
            case "t":
                is_text = False
            case "p":
                parts.append("\n")

    def characters(words: str) -> None:
        if is_text:
            parts.append(words)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(markup, True)
    except expat.ExpatError:
        raise UnusableError("broken") from None
    return "".join(parts).strip()


def _pdf(content: bytes) -> tuple[str, str]:
    if b"%PDF-" not in content[:1024]:
        raise UnusableError("mismatch")
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        title, pages = _pdf_pages(PdfReader(io.BytesIO(content), strict=False))
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, OSError):
        raise UnusableError("broken") from None
    text = "\n".join(pages)
    return title or _heading(text), text


def _pdf_pages(reader: PdfReader) -> tuple[str, list[str]]:
    if reader.is_encrypted and not reader.decrypt(""):
        raise UnusableError("encrypted")
    if len(reader.pages) > MAX_PAGES:
        raise UnusableError("pages")
    pages: list[str] = []
    n_characters = 0
    for page in reader.pages:
        pages.append(page.extract_text())
        n_characters += len(pages[-1])
        if n_characters > MAX_CHARACTERS:
            break
    return str((reader.metadata.title if reader.metadata else "") or ""), pages


def _limit_resources() -> None:
    """From here on the operating system ends us when we want too much."""
    try:
        import resource
    except ImportError:  # not on Windows, where the parent's timeout remains
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def main() -> None:
    _limit_resources()
    answer: dict[str, str]
    try:
        title, text = parse(sys.argv[1], sys.stdin.buffer.read())
        answer = {"title": title[:500], "text": text[:MAX_CHARACTERS]}
    except UnusableError as error:
        answer = {"problem": str(error)}
    except (MemoryError, RecursionError):
        answer = {"problem": "resources"}
    # Lone surrogates may come out of a PDF; they are no characters.
    encoded = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    sys.stdout.buffer.write(encoded)


if __name__ == "__main__":
    main()
