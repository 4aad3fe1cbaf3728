"""How many items of the samples are hidden without need, per allergen and diet.

    python -m tests.over_blocking

An item counts as hidden wrongly when its label, checked lately, says free from the allergen, and only a
word of its text hides it. The sample labels were written with care and are taken as the truth here.
"""

from __future__ import annotations

from data.vocabulary import Allergen, AllergenState, Diet
from recommender.constraints import Constraints, HiddenReason
from recommender.safety import is_label_fresh, safety_reason
from tests.fakes import NOON, sample_catalogue


def hidden_wrongly(allergen: Allergen) -> tuple[int, int]:
    """Give (hidden by words alone, free by label) of the sample items."""
    free = [
        item
        for item in sample_catalogue()
        if item.allergen_state(allergen) is AllergenState.FREE_FROM
        and is_label_fresh(item, at=NOON)
        and item.audience != "adults"
    ]
    told = Constraints(allergens=frozenset({allergen}))
    hidden = [i for i in free if safety_reason(i, told, at=NOON) is HiddenReason.ALLERGEN]
    return len(hidden), len(free)


def hidden_by_diet(diet: Diet) -> tuple[int, int]:
    """Give (hidden by words or category alone, declared fit) of the sample items."""
    fit = [i for i in sample_catalogue() if i.diets and diet in i.diets and i.audience != "adults"]
    told = Constraints(diets=frozenset({diet}))
    return sum(safety_reason(i, told, at=NOON) is not None for i in fit), len(fit)


def main() -> None:
    rows = [(str(a), *hidden_wrongly(a)) for a in Allergen]
    rows += [(str(d), *hidden_by_diet(d)) for d in Diet]
    for name, n_hidden, n_free in rows:
        share = n_hidden / n_free if n_free else 0.0
        print(f"{name:14} {n_hidden:3} of {n_free:3} hidden wrongly  {share:5.1%}")
    n_wrong = sum(hidden for _, hidden, _ in rows[: len(Allergen)])
    n_all = sum(free for _, _, free in rows[: len(Allergen)])
    print(f"all allergens  {n_wrong} of {n_all} ({n_wrong / n_all:.2%})")


if __name__ == "__main__":
    main()
