"""Admins' commands in the chat: which there are, who may, and a row in the audit for each."""

from __future__ import annotations

from collections.abc import Callable

from bot import admin_export, admin_models, admin_stats, admin_steps
from bot.messages import Reply
from bot.turn import Turn

_COMMANDS: dict[str, Callable[[Turn, str], Reply]] = {
    "stats": admin_stats.stats,
    "export": admin_export.export,
    "train": lambda turn, _: admin_models.train(turn),
    "models": lambda turn, _: admin_models.models(turn),
    "promote": admin_models.ask_promote,
    "rollback": lambda turn, _: admin_models.ask_rollback(turn),
    "whatif": admin_models.whatif,
    "reload": lambda turn, _: admin_models.ask_reload(turn),
}
COMMANDS = frozenset(_COMMANDS)
_STEPS: dict[str, Callable[[Turn, str], Reply]] = {
    "promote": admin_models.promote,
    "rollback": admin_models.rollback,
    "reload": lambda turn, _: admin_models.reload(turn),
}


def command(turn: Turn, name: str, argument: str) -> Reply:
    """Carry out a command of `COMMANDS`; the caller saw that an admin sent it."""
    turn.store.audit(
        at=turn.at, actor=turn.sender.user_key, action=name, detail=argument.strip()[:80]
    )
    return _COMMANDS[name](turn, argument)


def press(turn: Turn, argument: str) -> Reply:
    """What an admin's button does; nobody else's press tells anything."""
    if not turn.is_admin:
        return Reply(notice=turn.words("press.unknown"))
    name, _, subject = argument.partition(":")
    match name:
        case "leave":
            return admin_steps.leave(turn)
        case "result":
            return admin_steps.result(turn)
        case "ask":
            return command(turn, *subject.partition(":")[::2])
    step = admin_steps.confirmed(turn, argument)
    if isinstance(step, Reply):
        return step
    turn.store.audit(
        at=turn.at,
        actor=turn.sender.user_key,
        action=f"{step.name} confirmed",
        detail=step.subject,
    )
    return _STEPS[step.name](turn, step.subject)
