"""Claims about diseases are found; honest words about food are not."""

from __future__ import annotations

import pytest

from data.catalogue import Item, ItemId
from recommender.claims import has_health_claim, health_claims
from tests.fakes import sample_catalogue


@pytest.mark.parametrize(
    "text",
    [
        "Cures cancer",
        "helps to lower blood pressure",
        "lowers high cholesterol",
        "It prevents heart disease",
        "fights infections",
        "an anti-cancer food",
        "a diabetes remedy",
        "protects you from colds",
        "detoxifies your liver",
        "miracle cure",
        "可降血压",
        "预防癌症",
        "抗癌食品",
        "治疗失眠",
        "缓解便秘",
        "降三高",
        "药到病除",
        "辅助降低血糖",
        "延年益寿",
    ],
)
def test_a_claim_is_found(text: str) -> None:
    assert health_claims(text)
    assert has_health_claim(Item(item_id=ItemId("x"), name_en="X", description_en=text))
    assert has_health_claim(Item(item_id=ItemId("x"), name_zh=text))


@pytest.mark.parametrize(
    "text",
    [
        "Crisp and sweet, good in salads",
        "rich in fibre",
        "A cure of salt and sugar",
        "Dry-cured ham, cured for 24 months",
        "reduces to a thick sauce in ten minutes",
        "a cold soup for hot days",
        "treats guests to a feast",
        "低温慢煮,入口即化",
        "含膳食纤维",
        "感冒",
        "防潮包装",
        "",
    ],
)
def test_honest_words_are_not_a_claim(text: str) -> None:
    assert health_claims(text) == ()


def test_the_samples_claim_nothing() -> None:
    assert not [item.item_id for item in sample_catalogue() if has_health_claim(item)]
