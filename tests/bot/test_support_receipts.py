"""Receipts by which support opens a learner's page: only the right ones, and not for long."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.support_receipts import PERIOD_DAYS, last_day, receipt_for, user_key_of
from data.events import UserKey
from tests.fakes import NOON

SECRET = b"a secret of the tests"
ANN = UserKey("0123456789abcdef" * 2)


@given(raw=st.binary(min_size=16, max_size=16), days=st.integers(0, PERIOD_DAYS))
def test_a_receipt_names_its_person_for_a_month_at_least(raw: bytes, days: int) -> None:
    key = UserKey(raw.hex())
    receipt = receipt_for(SECRET, key, at=NOON)

    assert user_key_of(SECRET, receipt, at=NOON + timedelta(days=days)) == key


def test_a_receipt_ends_on_the_day_that_it_says() -> None:
    receipt, last = receipt_for(SECRET, ANN, at=NOON), last_day(NOON)
    until_last = timedelta(days=(last - NOON.date()).days)

    assert user_key_of(SECRET, receipt, at=NOON + until_last) == ANN
    assert user_key_of(SECRET, receipt, at=NOON + until_last + timedelta(days=1)) is None


def test_a_receipt_hides_the_key_and_is_read_as_people_copy_it() -> None:
    receipt = receipt_for(SECRET, ANN, at=NOON)

    assert len(receipt) == 39
    assert ANN[:8] not in receipt.lower()
    for copied in (receipt.lower(), receipt.replace("-", " "), f"  {receipt}\n",
                   receipt.replace("O", "0").replace("I", "1").replace("B", "8")):  # fmt: skip
        assert user_key_of(SECRET, copied, at=NOON) == ANN


@given(place=st.integers(0, 38), sign=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_changed_receipt_names_nobody(place: int, sign: str) -> None:
    receipt = receipt_for(SECRET, ANN, at=NOON)
    if receipt[place] in ("-", sign):
        return
    changed = receipt[:place] + sign + receipt[place + 1 :]

    assert user_key_of(SECRET, changed, at=NOON) is None


@pytest.mark.parametrize(
    "text", ["", "-", ANN, "A" * 32, "AAAA-" * 8, "回执", "A" * 10_000, "=" * 32]
)
def test_what_is_no_receipt_names_nobody(text: str) -> None:
    assert user_key_of(SECRET, text, at=NOON) is None


def test_a_receipt_of_another_deployment_names_nobody() -> None:
    assert user_key_of(b"another", receipt_for(SECRET, ANN, at=NOON), at=NOON) is None


def test_a_key_that_was_not_made_by_us_gets_no_receipt() -> None:
    assert receipt_for(SECRET, UserKey("ann"), at=NOON) == ""
