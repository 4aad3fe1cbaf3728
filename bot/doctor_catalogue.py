"""What `zhiwei doctor` says of a catalogue: is it current, and do its labels speak?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np

from bot.findings import Finding
from data.catalogue import Catalogue
from data.vocabulary import Allergen, AllergenState
from recommender.safety import is_label_fresh


def freshness(catalogue: Catalogue, now: datetime) -> Iterator[Finding]:
    """Tell how much of the catalogue can still be bought."""
    today = now.date()
    gone = sum(
        item.stock == 0 or (item.available_until is not None and item.available_until < today)
        for item in catalogue
    )
    is_ok = gone * 4 <= len(catalogue)
    yield Finding(
        subject="freshness",
        fact=f"{gone} of {len(catalogue)} items are sold out or over",
        is_ok=is_ok,
        remedy="" if is_ok else "import the shop's current list: `zhiwei import items FILE`",
    )


def labels(catalogue: Catalogue, now: datetime) -> Iterator[Finding]:
    """Tell how many labels are checked, and how many allergens known."""
    stale = sum(not is_label_fresh(item, at=now) for item in catalogue)
    ahead = sum(
        item.allergens_checked_on is not None
        and item.allergens_checked_on > now.date() + timedelta(days=1)
        for item in catalogue
    )
    is_ok = stale * 2 <= len(catalogue) and not ahead
    future = f", {ahead} with a check still to come" if ahead else ""
    yield Finding(
        subject="labels",
        fact=f"{stale} of {len(catalogue)} items without a label check within a year{future}",
        is_ok=is_ok,
        remedy="set allergens_checked_on; such items are hidden from people with allergies"
        if stale
        else "",
    )
    unknown = np.mean(
        [
            any(item.allergen_state(a) is AllergenState.UNKNOWN for a in Allergen)
            for item in catalogue
        ]
    )
    yield Finding(
        subject="allergens", fact=f"{unknown:.0%} of items have an unknown allergen",
        is_ok=bool(unknown < 0.5),
        remedy="complete the allergens column" if unknown >= 0.5 else "",
    )  # fmt: skip
