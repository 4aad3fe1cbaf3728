"""The conversation in a terminal, and from a script."""

from __future__ import annotations

import io

from rich.console import Console

from bot.terminal import TerminalChat
from bot.understanding.meaning import Intent
from tests.fakes import (
    SECRET,
    FakeClock,
    ScriptedInterpreter,
    build_conversation,
    sample_catalogue,
)


def transcript(*lines: str, echo: bool = False) -> str:
    script = ScriptedInterpreter()
    script.means("great", Intent.LIKE)
    out = io.StringIO()
    chat = TerminalChat(
        conversation=build_conversation(understanding=script), secret=SECRET,
        console=Console(file=out, width=100), language_code="en", clock=FakeClock(), echo=echo,
    )  # fmt: skip
    chat.run(lines)
    return out.getvalue()


LESSON = sample_catalogue().lessons[0]


def test_it_greets_answers_and_ends_at_the_end_of_input() -> None:
    said = transcript(f"/start {LESSON.lesson_id}", "", "great")
    assert "Hello, I am Zhiwei" in said
    assert "Allergens:" in said
    assert "Glad they fit." in said


def test_buttons_are_pressed_by_number_or_label() -> None:
    said = transcript(f"/start {LESSON.lesson_id}", "[1]", "[Why these?]")
    assert "Noted: you like" in said
    assert "Why these" in said


def test_a_number_that_is_no_button_is_just_text() -> None:
    assert "I only know about food" in transcript("[99]")


def test_quit_ends_it_and_echo_prints_what_was_read() -> None:
    said = transcript("/help", "/quit", "great", echo=True)
    assert "> /help" in said
    assert "Glad" not in said


def test_a_message_without_buttons_leaves_the_earlier_ones_pressable() -> None:
    assert "Noted: you like" in transcript(f"/start {LESSON.lesson_id}", "great", "[1]")
