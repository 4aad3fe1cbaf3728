"""What is known of one person, in figures and in sentences, as they may see it themselves."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from bot.catalogue_files import read_catalogue
from data.catalogue import ItemId
from data.events import ReplyKind, UserKey
from recommender.profile import fold_profile

if TYPE_CHECKING:
    from bot.wiring import Wired


def profile_figures(parts: Wired, user_key: UserKey, *, at: datetime) -> dict[str, Any]:
    """What is known of a person, as JSON values: interests, habits, constraints."""
    store = parts.store
    catalogue, _ = read_catalogue(parts.settings)
    facts = store.facts(user_key, at=at)
    replies = store.replies(user_key=user_key)
    impressions = store.impressions(user_key=user_key)
    profile = fold_profile(user_key, facts=facts, impressions=impressions, replies=replies, at=at)
    by_id = catalogue.items_by_id
    by_category: Counter[str] = Counter()
    by_tag: Counter[str] = Counter()
    for item_id, history in profile.history.items():
        if item_id in by_id:
            by_category[by_id[item_id].category] += round(history.affinity * 100)
            by_tag.update(dict.fromkeys(by_id[item_id].tags, round(history.affinity * 100)))
    bought = [r for r in replies if r.kind is ReplyKind.PURCHASE and r.item_id is not None]
    units = Counter(r.item_id for r in bought)
    prices = [p for r in bought if (p := _price(by_id.get(r.item_id or ItemId("")))) is not None]
    acts = [r.at for r in replies]
    return {
        "user_key": user_key,
        "facts": [
            {
                "kind": f.kind,
                "value": f.value,
                "since": f.at.date().isoformat(),
                "source": f.source,
            }
            for f in facts
        ],
        "n_shown": len(impressions),
        "n_replies": profile.n_replies,
        "categories": _affinities(by_category),
        "tags": _affinities(by_tag),
        "n_bought": len(bought),
        "bought_again": [
            {"item_id": item_id, "times": n} for item_id, n in units.most_common() if n > 1
        ],
        "mean_price_bought": float(sum(prices) / len(prices)) if prices else None,
        "hours": dict(Counter(moment.hour for moment in acts).most_common(3)),
        "weekdays": dict(Counter(moment.isoweekday() for moment in acts).most_common(3)),
        "searches": [r.text for r in replies if r.kind is ReplyKind.TEXT and r.value == "search"][
            -5:
        ],
        "sources": dict(Counter(r.source for r in replies)),
    }


def _price(item: Any) -> Decimal | None:
    return item.price if item is not None else None


def _affinities(counts: Counter[str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "affinity": value / 100} for name, value in counts.most_common(5) if value
    ]


_LABELS = {
    "en": {
        "nothing": "Nothing is stored about this person.",
        "facts": "Told us: {}",
        "shown": "Shown {} items, {} answers",
        "likes": "Likes: {}",
        "dislikes": "Does not like: {}",
        "bought": "Bought {} times, mean price {}",
        "again": "Buys again: {}",
        "times": "Mostly active: {} (UTC)",
        "searches": "Searched for: {}",
        "sources": "From: {}",
    },
    "zh": {
        "nothing": "没有保存这个人的任何信息。",
        "facts": "本人告知：{}",
        "shown": "看过 {} 件商品，回应 {} 次",
        "likes": "喜欢：{}",
        "dislikes": "不喜欢：{}",
        "bought": "购买 {} 次，平均价格 {}",
        "again": "会回购：{}",
        "times": "常在这些时间：{}（UTC）",
        "searches": "搜索过：{}",
        "sources": "来源：{}",
    },
}


def describe_profile(figures: dict[str, Any], *, language: str) -> list[str]:
    """The figures in sentences, in Chinese or English."""
    label = _LABELS["zh" if language == "zh" else "en"]
    if not (figures["facts"] or figures["n_shown"] or figures["n_replies"]):
        return [label["nothing"]]
    lines: list[str] = []
    if figures["facts"]:
        told = "; ".join(f"{f['kind']} {f['value']} ({f['since']})" for f in figures["facts"])
        lines.append(label["facts"].format(told))
    lines.append(label["shown"].format(figures["n_shown"], figures["n_replies"]))
    known = [*figures["categories"], *figures["tags"]]
    for key, sign in (("likes", 1), ("dislikes", -1)):
        names = [a["name"] for a in known if a["affinity"] * sign > 0]
        if names:
            lines.append(label[key].format(", ".join(names)))
    if figures["n_bought"]:
        mean = figures["mean_price_bought"]
        shown = "?" if mean is None else f"{mean:.2f}"
        lines.append(label["bought"].format(figures["n_bought"], shown))
    if figures["bought_again"]:
        again = ", ".join(f"{b['item_id']} x{b['times']}" for b in figures["bought_again"])
        lines.append(label["again"].format(again))
    if figures["hours"]:
        lines.append(label["times"].format(", ".join(f"{hour}:00" for hour in figures["hours"])))
    if figures["searches"]:
        lines.append(label["searches"].format(", ".join(figures["searches"])))
    if figures["sources"]:
        lines.append(label["sources"].format(", ".join(figures["sources"])))
    return lines
