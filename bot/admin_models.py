"""Models in the chat: train, list, promote, roll back, what if, and reading the catalogue anew."""

from __future__ import annotations

from collections.abc import Sequence

from bot.admin_steps import ACTION, ask_again, work
from bot.messages import Reply, Rich, plain
from bot.rendering import as_edit
from bot.turn import Turn
from bot.wording import Words
from data.errors import InvalidInput
from data.model_registry import ModelRegistry, ModelRow, ModelStatus

LISTED = 8
POLICIES = ("uniform", "match-only", "popular", "logged")


def train(turn: Turn) -> Reply:
    """`/train`: a new model from the log, in shadow; the result says whether it may serve."""
    office = turn.services.office
    if office.registry is None:
        return _nothing_here(turn)
    words, at, sign = turn.words, turn.at, turn.labelled

    def do() -> Reply:
        from bot.admin_figures import reasons_told
        from bot.learning import TooLittleToLearn
        from recommender.training import MIN_LABELLED, MIN_LIKED

        try:
            row, verdict = office.train(at=at)
        except TooLittleToLearn as error:
            return _plain(
                words(
                    "train.few",
                    n=error.n_labelled,
                    liked=error.n_liked,
                    need=MIN_LABELLED,
                    need_liked=MIN_LIKED,
                )
            )
        rich = Rich().line(words("train.done", version=row.version, n=row.n_labelled), bold=True)
        rich.line(_quality(words, row))
        if verdict.reasons:
            rich.line(words("train.shadow"))
            for line in reasons_told(words, verdict.reasons):
                rich.line(f"• {line}")
            return Reply(spans=rich.done(), is_private=True)
        rich.line(words("train.may_serve"))
        button = sign(words("admin.ask_promote", version=row.version), ACTION, _ask(row))
        return Reply(spans=rich.done(), buttons=((button,),), is_private=True)

    return work(turn, "train", do)


def models(turn: Turn) -> Reply:
    """`/models`: what was trained, what serves, with a way to promote and to go back."""
    registry = turn.services.office.registry
    if registry is None:
        return _nothing_here(turn)
    words, rows = turn.words, registry.rows()
    if not rows:
        return _plain(words("models.none"))
    rich = Rich().line(words("models.heading"), bold=True)
    active = registry.active()
    if active is None:
        rich.line(words("models.match_only"))
    shown = sorted(rows, key=lambda row: row.created_at, reverse=True)[:LISTED]
    if active is not None and active not in shown:
        shown[-1] = active
    for row in shown:
        rich.line()
        rich.line(f"{row.version} · {words(f'models.{row.status}')}", bold=row is active)
        rich.line(words("models.trained", day=row.created_at[:10], n=row.n_labelled))
        rich.line(_quality(words, row))
    if len(rows) > len(shown):
        rich.line()
        rich.line(words("models.more", n=len(rows) - len(shown)))
    buttons = [
        (turn.labelled(words("admin.ask_promote", version=row.version), ACTION, _ask(row)),)
        for row in shown
        if row.status is ModelStatus.SHADOW
    ][:3]
    if active is not None:
        buttons.append((turn.button("admin.ask_rollback", ACTION, "ask:rollback"),))
    return Reply(spans=rich.done(), buttons=tuple(buttons), is_private=True)


def ask_promote(turn: Turn, argument: str) -> Reply:
    """`/promote VERSION`: asks once more; the log has its say after that."""
    registry = turn.services.office.registry
    if registry is None:
        return _nothing_here(turn)
    row = _row(registry, argument.strip())
    if row is None:
        return _unknown(turn, registry, argument)
    if row.status is ModelStatus.ACTIVE:
        return _plain(turn.words("promote.serves_already", version=row.version))
    active = registry.active()
    text = turn.words(
        "promote.ask",
        version=row.version,
        n=row.n_labelled,
        before=active.version if active else turn.words("models.matching"),
    )
    return ask_again(turn, "promote", row.version, text)


def promote(turn: Turn, version: str) -> Reply:
    """Ask the gate with today's log, and let the model serve if it agrees."""
    office, registry = turn.services.office, turn.services.office.registry
    if registry is None:
        return _nothing_here(turn)
    words, at, store, actor = turn.words, turn.at, turn.store, turn.sender.user_key

    def do() -> Reply:
        from bot.admin_figures import reasons_told

        verdict = office.judge(version, at=at)
        if verdict.reasons:
            store.audit(at=at, actor=actor, action="promote refused", detail=version)
            rich = Rich().line(words("promote.refused", version=version), bold=True)
            for line in reasons_told(words, verdict.reasons):
                rich.line(f"• {line}")
            return Reply(spans=rich.done(), is_private=True)
        registry.promote(version, at=at)
        store.audit(at=at, actor=actor, action="promoted", detail=version)
        return _plain(words("promote.done", version=version))

    return as_edit(work(turn, "promote", do))


def ask_rollback(turn: Turn) -> Reply:
    """`/rollback`: asks once more, naming what serves and what would."""
    registry = turn.services.office.registry
    if registry is None:
        return _nothing_here(turn)
    active = registry.active()
    if active is None:
        return _plain(turn.words("rollback.nothing"))
    before = active.replaced or turn.words("models.matching")
    text = turn.words("rollback.ask", version=active.version, before=before)
    return ask_again(turn, "rollback", active.version, text)


def rollback(turn: Turn, version: str) -> Reply:
    """Go back, if what was asked about still serves: handled again, it must not go back twice."""
    registry = turn.services.office.registry
    if registry is None:
        return _nothing_here(turn)
    active = registry.active()
    if active is None or active.version != version:
        return as_edit(_plain(turn.words("rollback.changed")))
    row = registry.rollback(at=turn.at)
    turn.store.audit(
        at=turn.at,
        actor=turn.sender.user_key,
        action="rolled back",
        detail=f"{version} -> {row.version if row else 'match-only'}",
    )
    serves = row.version if row else turn.words("models.matching")
    return as_edit(_plain(turn.words("rollback.done", version=version, serves=serves)))


def whatif(turn: Turn, argument: str) -> Reply:
    """`/whatif POLICY`: what it would have earned by the log, and how far that may be believed."""
    office, registry = turn.services.office, turn.services.office.registry
    if registry is None:
        return _nothing_here(turn)
    words, at, policy = turn.words, turn.at, argument.strip()
    if policy not in POLICIES and _row(registry, policy) is None:
        known = words.several(POLICIES)
        return _plain(words("whatif.usage", policies=known))

    def do() -> Reply:
        from bot.admin_figures import whatif_told

        found = office.what_if(policy, at=at)
        if found is None:
            return _plain(words("whatif.no_log"))
        return Reply(spans=whatif_told(words, found), is_private=True)

    return work(turn, "whatif", do)


def ask_reload(turn: Turn) -> Reply:
    """`/reload`: asks once more, since everybody gets what it reads."""
    if turn.services.office.registry is None:
        return _nothing_here(turn)
    catalogue = turn.engine.catalogue
    text = turn.words(
        "reload.ask",
        items=len(catalogue),
        lessons=len(catalogue.lessons),
        index=turn.engine.matcher.version,
    )
    return ask_again(turn, "reload", "", text)


def reload(turn: Turn) -> Reply:
    """Read catalogue and lessons anew and build the index; the running bot takes it over."""
    office = turn.services.office
    if office.registry is None:
        return _nothing_here(turn)
    words, at, store, actor = turn.words, turn.at, turn.store, turn.sender.user_key

    def do() -> Reply:
        found = office.reload()
        store.audit(at=at, actor=actor, action="reloaded", detail=found.index)
        return _plain(
            words(
                "reload.done",
                items=found.n_items,
                lessons=found.n_lessons,
                problems=found.n_problems,
                index=found.index,
            )
        )

    return as_edit(work(turn, "reload", do))


def _row(registry: ModelRegistry, version: str) -> ModelRow | None:
    try:
        return registry.row(version) if version else None
    except InvalidInput:
        return None


def _unknown(turn: Turn, registry: ModelRegistry, argument: str) -> Reply:
    known: Sequence[str] = [row.version for row in registry.rows()][-LISTED:]
    if not known:
        return _plain(turn.words("models.none"))
    return _plain(
        turn.words(
            "promote.usage", asked=argument.strip()[:40] or "-", known=turn.words.several(known)
        )
    )


def _quality(words: Words, row: ModelRow) -> str:
    auc = row.metrics.get("auc") or {}
    error = row.metrics.get("calibration_error")
    return words("models.quality", auc=_figure(auc.get("value")), error=_figure(error))


def _figure(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-"


def _ask(row: ModelRow) -> str:
    return f"ask:promote:{row.version}"


def _nothing_here(turn: Turn) -> Reply:
    return _plain(turn.words("models.not_here"))


def _plain(text: str) -> Reply:
    return Reply(spans=plain(text), is_private=True)
