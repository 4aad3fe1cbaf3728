"""A person's own data: see it, correct it, take it along, have it erased; and the switches."""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from dataclasses import replace
from datetime import timedelta

from bot.describing import fact_words
from bot.messages import Button, Document, Reply, Rich, plain
from bot.picturing import OFF, wants_pictures
from bot.support_receipts import last_day, receipt_for
from bot.turn import SESSION, Turn
from bot.wording import Words
from data.catalogue import ItemId
from data.events import LASTING, MANNERS, Consent, ConsentKind, FactKind
from data.vocabulary import Language

READABLE_BYTES = 1_000_000
"""A longer file goes out packed: a phone opens it no better, and it is a tenth of the size."""


def show_profile(turn: Turn) -> Reply:
    """Every stored fact with source and date, each with a button that deletes it."""
    words = turn.words
    rich = Rich().line(words("me.heading"), bold=True)
    buttons: list[tuple[Button, ...]] = []
    facts = [f for f in turn.facts() if f.kind not in MANNERS]
    for fact in facts:
        told = fact_words(turn, fact.kind, fact.value)
        until = words("me.remembered") if fact.expires_at is None else words("me.session")
        rich.line(
            words(
                "me.fact", fact=told, day=words.day(fact.at.date()), source=fact.source, how=until
            )
        )
        label = words("button.delete_fact", fact=told)
        buttons.append((turn.labelled(label, "unfact", fact.fact_id),))
    if not facts:
        rich.line(words("me.nothing"))
    profile = turn.profile()
    if profile.liked or profile.disliked:
        rich.line()
        if profile.liked:
            rich.line(words("me.liked", items=_names(turn, profile.liked)))
        if profile.disliked:
            rich.line(words("me.disliked", items=_names(turn, profile.disliked)))
    rich.line()
    rich.line(words("me.switches"), bold=True)
    for kind in ConsentKind:
        state = words("switch.on" if turn.has_consent(kind) else "switch.off")
        rich.line(words("me.switch", name=words(f"switch.{kind}"), state=state))
    if turn.services.has_pictures:
        state = words("switch.on" if wants_pictures(turn) else "switch.off")
        rich.line(words("me.switch", name=words("switch.pictures"), state=state))
    receipt = receipt_for(turn.services.signer.secret, turn.sender.user_key, at=turn.at)
    if receipt:
        rich.line()
        rich.line(words("me.receipt", receipt=receipt, day=words.day(last_day(turn.at))))
    buttons.append(
        (
            turn.button("button.settings", "settings", ""),
            turn.button("button.export", "export", ""),
        )
    )
    buttons.append((turn.button("button.forget", "forget", ""),))
    return Reply(spans=rich.done(), buttons=tuple(buttons), is_private=True)


def _names(turn: Turn, item_ids: tuple[ItemId, ...]) -> str:
    names = [
        turn.words.name(item)
        for item_id in item_ids[:10]
        if (item := turn.item(item_id)) is not None
    ]
    return turn.words.several(names) if names else "-"


def settings(turn: Turn) -> Reply:
    """The three switches, the pictures and the language, edited in place."""
    words = turn.words
    rich = Rich().line(words("settings.heading"), bold=True)
    buttons: list[tuple[Button, ...]] = []
    for kind in ConsentKind:
        is_on = turn.has_consent(kind)
        rich.line(words(f"settings.{kind}"))
        label = words(
            "button.switch_off" if is_on else "button.switch_on", name=words(f"switch.{kind}")
        )
        buttons.append((turn.labelled(label, "consent", f"{kind}:{0 if is_on else 1}"),))
    if turn.services.has_pictures:
        is_on = wants_pictures(turn)
        rich.line(words("settings.pictures"))
        label = words(
            "button.switch_off" if is_on else "button.switch_on", name=words("switch.pictures")
        )
        buttons.append((turn.labelled(label, "pictures", "off" if is_on else "on"),))
    buttons.append((turn.button("button.language", "language", ""),))
    return Reply(spans=rich.done(), buttons=tuple(buttons), is_private=True)


def give_consent(turn: Turn, argument: str) -> list[Reply]:
    """Turn one switch; withdrawing is the same single tap as giving."""
    name, _, value = argument.partition(":")
    if name not in set(ConsentKind):
        return [Reply(notice=turn.words("press.unknown"))]
    kind, given = ConsentKind(name), value == "1"
    shown = turn.words(f"settings.{kind}")
    turn.store.record_consent(
        Consent(
            consent_id=f"{turn.incoming.incoming_id}:{kind}",
            user_key=turn.sender.user_key,
            at=turn.at,
            kind=kind,
            given=given,
            language=turn.words.language,
            text_version=hashlib.sha256(shown.encode()).hexdigest()[:12],
        )
    )
    if kind is ConsentKind.REMEMBER_DIET:
        _move_facts(turn, lasting=given)
    key = "consent.given" if given else "consent.withdrawn"
    text = turn.words(key, name=turn.words(f"switch.{kind}"))
    page = settings(turn)
    return [
        Reply(
            spans=(*plain(text + "\n\n"), *page.spans), buttons=page.buttons, is_edit=True,
            notice=text, is_private=True,
        )
    ]  # fmt: skip


def show_pictures(turn: Turn, value: str) -> list[Reply]:
    """Turn the pictures of slates on or off for this person."""
    if value not in ("on", OFF):
        return [Reply(notice=turn.words("press.unknown"))]
    turn.remember(FactKind.PICTURES, value, "settings")
    state = turn.words(f"switch.{value}")
    notice = turn.words("me.switch", name=turn.words("switch.pictures"), state=state)
    return [replace(settings(turn), is_edit=True, notice=notice)]


def _move_facts(turn: Turn, *, lasting: bool) -> None:
    """Consent keeps the session's facts for good; withdrawing gives them back their end."""
    for fact in turn.facts():
        if fact.kind not in LASTING:
            end = None if lasting else turn.at + SESSION
            turn.store.put_fact(replace(fact, expires_at=end))


def ask_forget(turn: Turn) -> Reply:
    """The first of two steps."""
    turn.move(asked="forget")
    return Reply(
        spans=plain(turn.words("forget.ask")),
        buttons=(
            (
                turn.button("button.keep_all", "keep", ""),
                turn.button("button.erase", "erase", ""),
            ),
        ),
        is_private=True,
    )


def erase(turn: Turn) -> Reply:
    """The second step: everything goes, and a receipt proves it."""
    receipt = turn.store.forget(turn.sender.user_key, at=turn.at)
    turn.dialog = turn.dialog.opened()
    return Reply(
        spans=plain(
            turn.words(
                "forget.done",
                n=sum(count for _, count in receipt.removed),
                receipt=receipt.receipt_id,
            )
        ),
        is_private=True,
    )


def export(turn: Turn) -> Reply:
    """Everything stored, as a JSON file; now and then, since a long history takes a while to write."""
    exports, key = turn.services.exports, turn.sender.user_key
    if not exports.allow(key, turn.at):
        minutes = math.ceil(exports.wait(key, turn.at) / timedelta(minutes=1))
        return Reply(spans=plain(turn.words("mydata.wait", n=minutes)), is_private=True)
    everything = turn.store.export(key)
    content = json.dumps(everything, ensure_ascii=False, indent=2, default=str).encode()
    return Reply(
        spans=plain(turn.words("mydata.done")), document=_file_of(content), is_private=True
    )


def _file_of(content: bytes) -> Document:
    if len(content) <= READABLE_BYTES:
        return Document(file_name="zhiwei-my-data.json", content=content)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zhiwei-my-data.json", content)
    return Document(file_name="zhiwei-my-data.zip", content=file.getvalue())


def privacy(turn: Turn) -> Reply:
    words = turn.words
    contact = turn.services.privacy_contact or words("privacy.no_contact")
    text = words("privacy.text", days=turn.services.text_retention_days, contact=contact)
    return Reply(
        spans=plain(text),
        buttons=(
            (turn.button("button.settings", "settings", ""), turn.button("button.me", "me", "")),
        ),
    )


def choose_language(turn: Turn) -> Reply:
    return Reply(
        spans=plain(turn.words("language.ask")),
        buttons=(
            (
                turn.labelled("中文", "speak", "zh"),
                turn.labelled("English", "speak", "en"),
            ),
        ),
    )


def speak(turn: Turn, code: str) -> list[Reply]:
    """Change the language for good; it is needed to answer and tells nothing else."""
    if code not in set(Language):
        return [choose_language(turn)]
    turn.remember(FactKind.LANGUAGE, code, "language")
    turn.words = Words(Language(code))
    return [Reply(spans=plain(turn.words("language.done")), is_edit=True)]


def pause(turn: Turn) -> list[Reply]:
    """Stop unsolicited messages; answers to what the person writes go on."""
    if turn.has_consent(ConsentKind.SEND_TIPS):
        give_consent(turn, f"{ConsentKind.SEND_TIPS}:0")
    return [Reply(spans=plain(turn.words("pause.done")))]


def resume(turn: Turn) -> list[Reply]:
    """Go on; tips still need their switch, so offer it."""
    buttons: tuple[tuple[Button, ...], ...] = ((turn.button("button.lessons", "lessons", "0"),),)
    if not turn.has_consent(ConsentKind.SEND_TIPS):
        label = turn.words("button.switch_on", name=turn.words("switch.send_tips"))
        buttons = (
            (
                turn.button("button.lessons", "lessons", "0"),
                turn.labelled(label, "consent", f"{ConsentKind.SEND_TIPS}:1"),
            ),
        )
    return [Reply(spans=plain(turn.words("resume.done")), buttons=buttons)]
