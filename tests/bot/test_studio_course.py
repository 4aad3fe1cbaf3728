"""A zip of a course: what may be in it, what is left out with one line, and what its page shows."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.lesson_files import LessonText, UnreadableFile
from bot.studio import course_archive
from bot.studio.course_archive import UnreadableCourse, read_course
from data.vocabulary import Language
from tests.bot.studio_world import Browser, StudioParts, open_studio

TOFU = "Tofu is made from soy beans. The beans are soaked, ground and cooked."
TEA = "Green tea is steamed after picking. A warm pot and soft water bring out its taste."


def zipped(files: dict[str, bytes | str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def plain(name: str, content: bytes) -> LessonText:
    """Stands for the guarded parser where the archive is what a test is about."""
    if not content.strip():
        raise UnreadableFile("empty", name)
    return LessonText(name, content.decode())


def left_out(content: bytes) -> dict[str, str]:
    return {e.name: e.key for e in read_course("c.zip", content, read=plain).left_out}


def test_lessons_come_in_the_order_of_their_numbers() -> None:
    names = ["lesson 10.md", "lesson 2.md", "intro.txt", "lesson 1.md"]

    course = read_course("Cooking.zip", zipped(dict.fromkeys(names, TOFU)), read=plain)

    assert course.title == "Cooking"
    assert [lesson.name for lesson in course.lessons] == [
        "intro.txt", "lesson 1.md", "lesson 2.md", "lesson 10.md"
    ]  # fmt: skip
    assert course.left_out == ()


def test_every_lesson_goes_through_the_guarded_parser() -> None:
    content = zipped({"a.md": f"# Beans\n\n{TOFU}", "b.pdf": b"MZ no pdf", "c.html": f"<p>{TEA}"})

    course = read_course("c.zip", content)

    assert [lesson.title for lesson in course.lessons] == ["Beans", "c"]
    assert [(e.name, e.key) for e in course.left_out] == [("b.pdf", "file.mismatch")]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("../../etc/passwd.txt", "course.name"),
        ("/etc/cron.d/x.md", "course.name"),
        ("C:\\windows\\x.txt", "course.name"),
        ("a/../../b.md", "course.name"),
        ("inner.zip", "course.nested"),
        ("clip.mp4", "file.kind"),
        ("noending", "file.kind"),
        ("empty.md", "file.empty"),
    ],
)
def test_a_file_that_does_not_belong_is_left_out_with_its_reason(name: str, key: str) -> None:
    content = zipped({"good.md": TOFU, name: " " if name == "empty.md" else "x"})

    assert list(left_out(content).values()) == [key]


def test_what_computers_add_to_archives_is_passed_over_in_silence() -> None:
    clutter = ["__MACOSX/._a.md", ".DS_Store", "x/Thumbs.db", "~$a.docx", "folder/"]

    assert left_out(zipped({"good.md": TOFU, **dict.fromkeys(clutter, "x")})) == {}


def test_a_link_is_not_followed() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("good.md", TOFU)
        link = zipfile.ZipInfo("secret.txt")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")

    course = read_course("c.zip", target.getvalue(), read=plain)

    assert [e.key for e in course.left_out] == ["course.link"]
    assert all("passwd" not in lesson.text for lesson in course.lessons)


def test_a_file_that_unpacks_to_far_more_is_left_out_unread() -> None:
    bomb = zipped({"good.md": TOFU, "bomb.txt": b"a" * 9_000_000})

    assert left_out(bomb) == {"bomb.txt": "file.unpacked"}


def test_an_archive_that_unpacks_to_too_much_is_refused_as_a_whole() -> None:
    with pytest.raises(UnreadableCourse) as refused:
        read_course("b.zip", zipped({f"{n}.txt": b"a" * 9_000_000 for n in range(13)}), read=plain)

    assert refused.value.key == "course.unpacked"


def test_too_many_entries_are_refused_before_the_directory_is_read() -> None:
    content = b"PK\x01\x02" * (10 * course_archive.MOST_ENTRIES + 1)

    with pytest.raises(UnreadableCourse) as refused:
        read_course("b.zip", content, read=plain)

    assert refused.value.key == "course.entries"


def test_an_entry_whose_bytes_were_changed_is_left_out() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("good.md", TOFU)
        archive.writestr("bad.md", TEA)
    content = target.getvalue().replace(b"steamed", b"STEAMED", 1)

    assert left_out(content) == {"bad.md": "file.broken"}


def test_an_entry_with_a_password_is_left_out() -> None:
    content = bytearray(zipped({"a.md": TOFU, "b.md": TEA}))
    entry = content.rindex(b"PK\x01\x02")
    content[entry + 8] |= 1

    assert left_out(bytes(content)) == {"b.md": "file.encrypted"}


def test_lessons_beyond_the_most_are_named() -> None:
    content = zipped({f"{n:03}.md": TOFU for n in range(course_archive.MOST_LESSONS + 2)})

    assert left_out(content) == {"100.md": "course.many", "101.md": "course.many"}


def test_a_name_that_stands_twice_counts_once() -> None:
    content = zipped({"A.md": TOFU, "a.md": TEA})

    assert list(left_out(content).values()) == ["course.twice"]


def test_files_that_come_too_late_are_named_instead_of_read() -> None:
    moments = iter([0.0, 1.0, *[1e6] * 20])

    course = read_course(
        "c.zip", zipped({"a.md": TOFU, "b.md": TEA}), read=plain, monotonic=lambda: next(moments)
    )

    assert len(course.lessons) == 1
    assert [e.key for e in course.left_out] == ["course.time"]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_chinese_names_are_read_also_where_the_archive_does_not_name_its_encoding(
    encoding: str,
) -> None:
    meant = "第一课.md".encode(encoding)
    stand_in = b"x" * len(meant)
    content = zipped({stand_in.decode(): TOFU}).replace(stand_in, meant)

    assert read_course("c.zip", content).lessons[0].name == "第一课.md"


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_archive_gets_one_line_in_each_language(content: bytes) -> None:
    with pytest.raises(UnreadableCourse) as refused:
        read_course("c.zip", content, read=plain)

    assert "c.zip" in refused.value.told(Language.EN)
    assert "c.zip" in refused.value.told(Language.ZH)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[tuple[Browser, StudioParts]]:
    with open_studio(tmp_path) as opened:
        yield opened


def upload(browser: Browser, content: bytes, name: str = "Slow food.zip") -> Browser:
    return browser.open("/pairings").press("Find items", files={"file": (name, content)})


def test_an_uploaded_course_shows_its_coverage_and_a_preview_of_each_lesson(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, parts = studio

    upload(
        browser,
        zipped({"1.md": f"# Beans\n\n{TOFU}", "2.md": f"# Leaves\n\n{TEA}", "x.mp4": b"-"}),
    )

    assert "Course “Slow food”" in browser.text
    assert "2 lessons were read." in browser.text
    assert "x.mp4 is of another kind" in browser.text
    assert "Lessons, weakest first" in browser.text
    part = next(p for p in browser.markup.split('"') if p.startswith("/pairings?course="))
    browser.open(part.replace("&amp;", "&").rsplit("=", 1)[0] + "=1")
    assert "What goes with “Beans”" in browser.text
    assert "Lesson 1 of 2" in browser.text
    assert "<mark>" in browser.markup
    assert "studio.course" in [row[2] for row in parts.store.audits()]


def test_a_course_is_taken_among_the_lessons_once(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio
    content = zipped({"1.md": f"# Beans\n\n{TOFU}", "2.md": f"# Leaves\n\n{TEA}"})
    before = len(parts.engines.current().catalogue.lessons)

    upload(browser, content).press("Save all 2 lessons", course="Slow food")
    assert "2 lessons are new" in browser.text
    browser.press("Save all 2 lessons", course="Slow food")

    assert "0 lessons are new" in browser.text
    lessons = parts.engines.current().catalogue.lessons
    assert len(lessons) == before + 2
    assert {le.title for le in lessons if le.course == "Slow food"} == {"Beans", "Leaves"}


def test_htmx_is_sent_to_the_page_of_the_course(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    browser.open("/pairings").press(
        "Find items", files={"file": ("c.zip", zipped({"1.md": TOFU}))},
        headers={"hx-request": "true"},
    )  # fmt: skip

    assert browser.page is not None
    assert browser.page.headers["hx-redirect"].startswith("/pairings/course/")


def test_a_bad_archive_gets_one_clear_line(studio: tuple[Browser, StudioParts]) -> None:
    browser, parts = studio

    upload(browser, b"PK\x03\x04 broken")

    assert browser.status == 422
    assert "Slow food.zip is no zip archive" in browser.text
    assert not (parts.settings.state / "studio" / "courses").exists()


@pytest.mark.parametrize("digest", ["0" * 16, "%2e%2e%2fgolden", "x" * 16])
def test_a_course_that_is_not_here_is_said_so(
    studio: tuple[Browser, StudioParts], digest: str
) -> None:
    browser, _ = studio

    browser.open(f"/pairings/course/{digest}")

    assert browser.status in (404, 422)


def test_script_in_names_and_titles_of_a_course_is_inert(
    studio: tuple[Browser, StudioParts],
) -> None:
    browser, _ = studio
    evil = "<script>alert(1)"
    content = zipped({f"{evil}.md": f"# {evil}\n\n{TOFU}", f"{evil}.exe": "x"})

    upload(browser, content, name=f"{evil}.zip")

    assert browser.status == 200
    assert "<script>alert" not in browser.markup
    assert "&lt;script&gt;alert" in browser.markup


def test_a_course_needs_the_token_of_the_form(studio: tuple[Browser, StudioParts]) -> None:
    browser, _ = studio
    upload(browser, zipped({"1.md": TOFU}))

    browser.press("Save", token="0" * 32)

    assert browser.status == 403
