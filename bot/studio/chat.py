"""The chat page: the same conversation as in Telegram, with forms as buttons; no script is needed."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.messages import ButtonPress, Command, Incoming, Reply, Sender, TextMessage
from bot.studio.visit import Visit, to
from data.events import UserKey

MAX_PEOPLE = 300
MAX_ENTRIES = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message on the page."""

    number: int
    said: str = ""
    """What the person wrote; empty for our messages."""
    reply: Reply | None = None


@dataclass
class ChatPages:
    """The latest messages of the latest people, in memory only; erasing one's data clears them."""

    pages: OrderedDict[UserKey, list[Entry]] = field(default_factory=OrderedDict)
    n_entries: int = 0

    def of(self, user_key: UserKey) -> list[Entry]:
        page = self.pages.setdefault(user_key, [])
        self.pages.move_to_end(user_key)
        while len(self.pages) > MAX_PEOPLE:
            self.pages.popitem(last=False)
        return page

    def add(self, user_key: UserKey, *, said: str = "", reply: Reply | None = None) -> Entry:
        self.n_entries += 1
        entry = Entry(number=self.n_entries, said=said, reply=reply)
        page = self.of(user_key)
        page.append(entry)
        del page[:-MAX_ENTRIES]
        return entry

    def edit(self, user_key: UserKey, number: int, reply: Reply) -> Entry | None:
        """Put a reply in the place of an earlier one; None when that is gone."""
        page = self.of(user_key)
        for place, entry in enumerate(page):
            if entry.number == number and entry.reply is not None:
                page[place] = replace(entry, reply=reply)
                return page[place]
        return None

    def clear(self, user_key: UserKey) -> None:
        self.pages.pop(user_key, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What a turn changed on the page."""

    added: tuple[Entry, ...] = ()
    edited: tuple[Entry, ...] = ()
    notice: str = ""


async def show(visit: Visit) -> Response:
    """The page; an empty one begins with the welcome, or with the lesson in the address."""
    lesson = visit.asked("lesson", limit=64)
    if lesson or not _pages(visit).of(visit.user_key):
        await _turn(visit, Command(**_stamp(visit), name="start", argument=lesson))  # type: ignore[arg-type]
        if lesson:
            return to("/chat#latest")
    return visit.page("chat.html", entries=_pages(visit).of(visit.user_key), notice="")


async def say(visit: Visit) -> Response:
    text = visit.text("text", limit=8_000).strip()
    if not text:
        return to("/chat")
    _pages(visit)
    incoming: Incoming
    if text.startswith("/"):
        name, _, argument = text[1:].partition(" ")
        incoming = Command(**_stamp(visit), name=name, argument=argument)  # type: ignore[arg-type]
    else:
        incoming = TextMessage(**_stamp(visit), text=text)  # type: ignore[arg-type]
    return _shown(visit, await _turn(visit, incoming, said=text))


async def press(visit: Visit) -> Response:
    payload = visit.text("payload", limit=100)
    number = visit.text("message", "0", limit=12)
    pressed = ButtonPress(**_stamp(visit), payload=payload)  # type: ignore[arg-type]
    at_message = int(number) if number.isascii() and number.isdigit() else 0
    return _shown(visit, await _turn(visit, pressed, at_message=at_message))


async def clear(visit: Visit) -> Response:
    _pages(visit).clear(visit.user_key)
    return to("/chat")


def _shown(visit: Visit, exchange: Exchange) -> Response:
    if not visit.is_htmx:
        if exchange.notice:
            entries = _pages(visit).of(visit.user_key)
            return visit.page("chat.html", entries=entries, notice=exchange.notice)
        return to("/chat#latest")
    return visit.page(
        "chat_exchange.html",
        added=exchange.added,
        edited=exchange.edited,
        notice=exchange.notice,
    )


async def _turn(
    visit: Visit, incoming: Incoming, *, said: str = "", at_message: int = 0
) -> Exchange:
    async with visit.studio.lock_for(visit.user_key):
        return await run_in_threadpool(_answer, visit, incoming, said, at_message)


def _answer(visit: Visit, incoming: Incoming, said: str, at_message: int) -> Exchange:
    """Handle, check, show, and only then count what was shown."""
    conversation, pages, key = visit.studio.wired.conversation, _pages(visit), visit.user_key
    replies = conversation.handle(incoming)
    if _is_erasure(visit, incoming):
        pages.clear(key)
    added = [pages.add(key, said=said)] if said else []
    edited: list[Entry] = []
    notices: list[str] = []
    for reply in replies:
        checked = conversation.checked(reply, incoming)
        if checked.notice:
            notices.append(checked.notice)
        if checked.spans or checked.document or checked.picture or checked.buttons:
            changed = pages.edit(key, at_message, checked) if checked.is_edit else None
            if changed is not None:
                edited.append(changed)
            else:
                added.append(pages.add(key, reply=checked))
        conversation.delivered(checked, at=incoming.at)
    return Exchange(added=tuple(added), edited=tuple(edited), notice=" ".join(notices))


def _is_erasure(visit: Visit, incoming: Incoming) -> bool:
    if not isinstance(incoming, ButtonPress):
        return False
    read = visit.studio.wired.conversation.services.signer.read(visit.user_key, incoming.payload)
    return read is not None and read.action == "erase"


def _stamp(visit: Visit) -> dict[str, object]:
    return {
        "incoming_id": f"web:{secrets.token_hex(8)}",
        "sender": Sender(
            user_key=visit.user_key,
            numeric_id=visit.numeric_id,
            language_code=visit.language,
            channel="web",
        ),
        "at": visit.at,
    }


def _pages(visit: Visit) -> ChatPages:
    pages: ChatPages = visit.studio.remembered(ChatPages)
    return pages


def _reply(visit: Visit) -> Reply | None:
    number = visit.request.path_params["number"]
    entries = _pages(visit).of(visit.user_key)
    return next((e.reply for e in entries if e.number == number), None)


async def document(visit: Visit) -> Response:
    """A file of ours, for the person it was made for."""
    reply = _reply(visit)
    if reply is None or reply.document is None:
        return visit.refusal("refused.gone", status=404)
    return Response(
        reply.document.content,
        media_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{_plain(reply.document.file_name)}"'
        },
    )


async def picture(visit: Visit) -> Response:
    reply = _reply(visit)
    if reply is None or reply.picture is None or not reply.picture.content:
        return visit.refusal("refused.gone", status=404)
    content = reply.picture.content
    kind = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
    return Response(content, media_type=kind)


def _plain(name: str) -> str:
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "._-")) or "file"
