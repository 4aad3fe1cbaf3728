"""What admins see in the chat: `/stats`."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.creators import unknown_share
from bot.messages import Reply, Rich, plain
from bot.turn import Turn
from data.statistics import Figures, figures
from data.store import EventStore

PERIODS: dict[str, timedelta | None] = {
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "all": None,
}


def stats(turn: Turn, argument: str) -> Reply:
    """Figures of the last 7 days, 30 days, or all time."""
    words = turn.words
    period = argument.strip().lower() or "30d"
    if period not in PERIODS:
        return Reply(spans=plain(words("stats.usage")))
    length = PERIODS[period]
    since = turn.at - length if length is not None else None
    found = gather(turn.store, n_items=len(turn.engine.catalogue), since=since, until=turn.at)
    turn.store.audit(at=turn.at, actor=turn.sender.user_key, action="stats", detail=period)
    rich = Rich().line(words("stats.heading", period=period), bold=True)
    for line in lines(turn, found):
        rich.line(line)
    backlog = turn.store.backlog(at=turn.at)
    rich.line(
        words(
            "stats.backlog",
            inbox=backlog.inbox,
            outbox=backlog.outbox,
            parked=backlog.parked,
            seconds=f"{backlog.oldest_seconds:.0f}",
        )
    )
    engine = turn.engine
    rich.line(
        words(
            "stats.versions",
            policy=f"{engine.recommender.policy.name} {engine.recommender.policy.version}",
            model=engine.model_name,
            index=engine.matcher.version,
        )
    )
    return Reply(spans=rich.done(), is_private=True)


def gather(store: EventStore, *, n_items: int, since: datetime | None, until: datetime) -> Figures:
    """The figures from the event store alone."""
    return figures(
        slates=store.slates(since=since, until=until),
        impressions=store.impressions(since=since, until=until),
        replies=store.replies(since=since, until=until),
        n_items=n_items,
        safety_violations=store.safety_violations(since=since),
    )


def lines(turn: Turn, f: Figures) -> list[str]:
    words = turn.words
    rate = f.like_rate
    return [
        words("stats.reach", users=f.n_users, lessons=f.n_lessons),
        words("stats.slates", slates=f.n_slates, impressions=f.n_impressions),
        words(
            "stats.like_rate",
            rate=f"{rate.value:.1%}",
            low=f"{rate.low:.1%}",
            high=f"{rate.high:.1%}",
            n=rate.n,
        ),
        words("stats.conversion", clicks=f.n_clicks, purchases=f.n_purchases),
        words("stats.satisfaction", rate=f"{f.satisfaction.value:.1%}", n=f.satisfaction.n),
        words("stats.coverage", share=f"{f.coverage:.1%}", gini=f"{f.exposure_gini:.2f}"),
        words("stats.unknown_allergens", share=f"{unknown_share(turn):.1%}"),
        words("stats.safety", n=f.safety_violations),
        words("stats.degraded", n=f.n_degraded, silent=f.n_silent),
    ]
