"""Payloads: short, bound to one person, and never misread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.buttons import MAX_BYTES, ButtonSigner, PayloadTooLongError, Press, user_key_for
from data.events import UserKey

SIGNER = ButtonSigner(b"secret")
ANN, BOB = UserKey("a" * 32), UserKey("b" * 32)


def test_what_was_signed_is_read_back() -> None:
    payload = SIGNER.sign(ANN, "like", "slate:0")
    assert SIGNER.read(ANN, payload) == Press("like", "slate:0")
    assert len(payload.encode()) <= MAX_BYTES


def test_another_person_another_secret_and_any_change_are_refused() -> None:
    payload = SIGNER.sign(ANN, "like", "slate:0")
    assert SIGNER.read(BOB, payload) is None
    assert ButtonSigner(b"other").read(ANN, payload) is None
    assert SIGNER.read(ANN, payload.replace("slate:0", "slate:1")) is None
    assert SIGNER.read(ANN, payload.replace("like", "buy")) is None
    assert SIGNER.read(ANN, "2" + payload[1:]) is None


@given(st.text(max_size=100))
def test_no_text_is_read_as_a_press(text: str) -> None:
    assert SIGNER.read(ANN, text) is None


def test_a_surrogate_from_a_broken_client_is_refused() -> None:
    assert SIGNER.read(ANN, "1|like|\ud800|x") is None


def test_what_does_not_fit_is_an_error_of_ours() -> None:
    with pytest.raises(PayloadTooLongError, match="64 bytes"):
        SIGNER.sign(ANN, "like", "x" * 50)


def test_a_user_key_tells_channels_and_people_apart_and_hides_the_id() -> None:
    keys = {
        user_key_for(b"s", "telegram", 1),
        user_key_for(b"s", "telegram", 2),
        user_key_for(b"s", "terminal", 1),
        user_key_for(b"t", "telegram", 1),
    }
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
    assert user_key_for(b"s", "telegram", 1) == user_key_for(b"s", "telegram", "1")
