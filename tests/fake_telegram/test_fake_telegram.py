"""The fake Telegram keeps Telegram's rules: each limit refuses, and its neighbour passes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from telegram import Update
from telegram.constants import ReactionEmoji
from telegram.ext import Application, ApplicationBuilder, ContextTypes, MessageHandler, filters

from tests.fake_telegram import limits
from tests.fake_telegram.client import running_telegram
from tests.fake_telegram.entities import parse_html, parse_markdown_v2, utf16_length
from tests.fake_telegram.faults import Fault, RateLimits
from tests.fake_telegram.refusal import RefusalError
from tests.fake_telegram.server import FakeTelegram

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (640).to_bytes(4) + (480).to_bytes(4)


class Caller:
    """A bot's side of the wire without any library."""

    def __init__(self, telegram: FakeTelegram, session: aiohttp.ClientSession) -> None:
        self.telegram = telegram
        self.session = session

    async def __call__(self, method: str, **values: Any) -> Any:
        status, answer = await self.raw(method, **values)
        assert status == 200, answer
        return answer["result"]

    async def raw(self, method: str, **values: Any) -> tuple[int, dict[str, Any]]:
        where = f"{self.telegram.api_root}/bot{self.telegram.token}/{method}"
        async with self.session.post(where, json=values) as response:
            return response.status, await response.json()

    async def refusal(self, method: str, **values: Any) -> str:
        status, answer = await self.raw(method, **values)
        assert status == answer["error_code"] >= 400, answer
        return str(answer["description"])

    async def upload(self, method: str, name: str, content: bytes, **values: str) -> Any:
        form = aiohttp.FormData(values)
        form.add_field(name, BytesIO(content), filename="picture.png", content_type="image/png")
        where = f"{self.telegram.api_root}/bot{self.telegram.token}/{method}"
        async with self.session.post(where, data=form) as response:
            return response.status, await response.json()


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram() as server:
        server.person(7, "zh")
        yield server


@pytest.fixture
async def call(telegram: FakeTelegram) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Caller(telegram, session)


def keyboard(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"inline_keyboard": [[button] for button in buttons]}


@pytest.mark.parametrize(
    ("text", "is_sent"),
    [
        ("a" * 4096, True),
        ("a" * 4097, False),
        ("🍅" * 2048, True),
        ("🍅" * 2048 + "a", False),
        ("<b>" + "a" * 4096 + "</b>", True),
        ("&amp;" * 4096, True),
        ("&amp;" * 4097, False),
        ("a", True),
        ("", False),
        (" \n", False),
        ("<b></b>", False),
    ],
    ids=str,
)
async def test_a_text_has_1_to_4096_utf16_units_after_parsing(
    call: Caller, text: str, is_sent: bool
) -> None:
    status, answer = await call.raw("sendMessage", chat_id=7, text=text, parse_mode="HTML")

    assert (status == 200) == is_sent, answer


async def test_a_caption_has_up_to_1024_utf16_units(call: Caller) -> None:
    photo = "https://example.org/soup.png"

    sent = await call("sendPhoto", chat_id=7, photo=photo, caption="a" * 1024)
    refusal = await call.refusal("sendPhoto", chat_id=7, photo=photo, caption="a" * 1025)

    assert sent["caption"] == "a" * 1024
    assert refusal == "Bad Request: message caption is too long"


@pytest.mark.parametrize(
    ("payload", "is_sent"),
    [("a" * 64, True), ("a" * 65, False), ("知" * 21, True), ("知" * 22, False), ("", False)],
)
async def test_callback_data_has_1_to_64_bytes(call: Caller, payload: str, is_sent: bool) -> None:
    markup = keyboard({"text": "Like", "callback_data": payload})

    status, answer = await call.raw("sendMessage", chat_id=7, text="x", reply_markup=markup)

    assert (status == 200) == is_sent
    assert is_sent or answer["description"] == "Bad Request: BUTTON_DATA_INVALID"


@pytest.mark.parametrize(
    "button",
    [
        {"text": "nothing to do"},
        {"text": "  ", "callback_data": "a"},
        {"text": "two", "callback_data": "a", "url": "https://example.org"},
        {"text": "no page", "url": "example"},
        {"text": "here", "url": "http://localhost/x"},
        {"text": "app", "web_app": {"url": "http://example.org"}},
    ],
    ids=lambda button: str(button["text"]),
)
async def test_a_button_does_exactly_one_possible_thing(
    call: Caller, button: dict[str, Any]
) -> None:
    assert "400" in str(
        await call.raw("sendMessage", chat_id=7, text="x", reply_markup=keyboard(button))
    )


async def test_a_keyboard_has_up_to_100_buttons(call: Caller) -> None:
    buttons = [{"text": str(n), "callback_data": str(n)} for n in range(101)]

    await call("sendMessage", chat_id=7, text="x", reply_markup=keyboard(*buttons[:100]))
    refusal = await call.refusal(
        "sendMessage", chat_id=7, text="x", reply_markup=keyboard(*buttons)
    )

    assert refusal == "Bad Request: reply markup is too long"


async def test_web_app_buttons_are_for_private_chats(call: Caller, telegram: FakeTelegram) -> None:
    telegram.group(-100, "Cooks")
    markup = keyboard({"text": "Open", "web_app": {"url": "https://example.org"}})

    await call("sendMessage", chat_id=7, text="x", reply_markup=markup)
    refusal = await call.refusal("sendMessage", chat_id=-100, text="x", reply_markup=markup)

    assert refusal == "Bad Request: BUTTON_TYPE_INVALID"


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ("<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("<br/>a", 'Unsupported start tag "br/" at byte offset 0'),
        ("知 < 5", 'Unsupported start tag "" at byte offset 4'),
        ("a <b", "Unclosed start tag at byte offset 2"),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        ("<b>a</i>", 'Unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("<b>a</b", "Unclosed end tag at byte offset 4"),
        ("<span>a</span>", 'Tag "span" must have class "tg-spoiler" at byte offset 0'),
        ("<ul><li>a</li></ul>", 'Unsupported start tag "ul" at byte offset 0'),
    ],
)
async def test_broken_html_is_refused_in_telegrams_words(
    call: Caller, markup: str, reason: str
) -> None:
    refusal = await call.refusal("sendMessage", chat_id=7, text=markup, parse_mode="HTML")

    assert refusal == f"Bad Request: can't parse entities: {reason}"


@pytest.mark.parametrize(
    ("markup", "plain", "kinds"),
    [
        ("<b>a<i>b</i></b>", "ab", ["bold", "italic"]),
        ('<a href="https://e.org?a=1&amp;b=2">x</a>', "x", ["text_link"]),
        ("<tg-spoiler>a</tg-spoiler> <u>b</u>", "a b", ["spoiler", "underline"]),
        ('<span class="tg-spoiler">a</span>', "a", ["spoiler"]),
        ('<pre><code class="language-python">x</code></pre>', "x", ["pre"]),
        ("<blockquote expandable>q</blockquote>", "q", ["expandable_blockquote"]),
        ("&lt;b&gt; &amp; &quot; &#39; &#x27;", "<b> & \" ' '", []),
        ("&nbsp;&apos; R&D > 5", "&nbsp;&apos; R&D > 5", []),
        ("<B>a</B>", "a", ["bold"]),
    ],
)
def test_html_becomes_text_and_entities(markup: str, plain: str, kinds: list[str]) -> None:
    text, entities = parse_html(markup)

    assert text == plain
    assert [entity["type"] for entity in entities] == kinds


def test_entities_are_counted_in_utf16_units() -> None:
    _, (entity,) = parse_html("🍅知<b>🍅</b>")

    assert (entity["offset"], entity["length"]) == (3, 2)
    assert utf16_length("🍅知") == 3


@pytest.mark.parametrize(
    ("markup", "plain"),
    [("*a* _b_ __c__ ~d~ ||e|| `f\\`g`", "a b c d e f`g"), ("[x](https://e.org) 1\\.", "x 1.")],
)
def test_markdown_becomes_text(markup: str, plain: str) -> None:
    assert parse_markdown_v2(markup)[0] == plain


@pytest.mark.parametrize(
    ("markup", "reason"),
    [
        ("1.", "Character '.' is reserved and must be escaped with the preceding '\\'"),
        ("*a", "Can't find end of Bold entity at byte offset 0"),
    ],
)
def test_broken_markdown_is_refused(markup: str, reason: str) -> None:
    with pytest.raises(RefusalError, match=re.escape(reason)):
        parse_markdown_v2(markup)


async def test_an_edit_must_change_something(call: Caller) -> None:
    markup = keyboard({"text": "Like", "callback_data": "1"})
    message = await call("sendMessage", chat_id=7, text="a", reply_markup=markup)
    which = {"chat_id": 7, "message_id": message["message_id"]}

    refusal = await call.refusal(
        "editMessageText", **which, text="<b></b>a", parse_mode="HTML", reply_markup=markup
    )
    edited = await call("editMessageText", **which, text="a")
    again = await call.refusal("editMessageReplyMarkup", **which)

    assert refusal.startswith("Bad Request: message is not modified: specified new message")
    assert "reply_markup" not in edited
    assert again.startswith("Bad Request: message is not modified")


async def test_only_the_bots_own_messages_of_the_right_kind_are_edited(
    call: Caller, telegram: FakeTelegram
) -> None:
    update = telegram.person(7, "zh").send_text("mine")
    assert update is not None
    photo = await call("sendPhoto", chat_id=7, photo="https://example.org/a.png")

    async def edit(message_id: int) -> str:
        return await call.refusal("editMessageText", chat_id=7, message_id=message_id, text="b")

    assert await edit(999) == "Bad Request: message to edit not found"
    assert await edit(update["message"]["message_id"]) == "Bad Request: message can't be edited"
    assert (
        await edit(photo["message_id"]) == "Bad Request: there is no text in the message to edit"
    )


async def test_what_is_deleted_is_gone(call: Caller) -> None:
    message = await call("sendMessage", chat_id=7, text="a")
    which = {"chat_id": 7, "message_id": message["message_id"]}

    await call("deleteMessage", **which)

    assert await call.refusal("deleteMessage", **which) == (
        "Bad Request: message to delete not found"
    )
    assert (
        await call.refusal(
            "sendMessage",
            chat_id=7,
            text="b",
            reply_parameters={"message_id": message["message_id"]},
        )
        == "Bad Request: message to be replied not found"
    )


async def test_a_press_is_answered_once_and_in_time(call: Caller, telegram: FakeTelegram) -> None:
    person = telegram.person(7, "zh")
    markup = keyboard({"text": "Like", "callback_data": "v1"})
    await call("sendMessage", chat_id=7, text="a", reply_markup=markup)
    first, second = person.press("Like"), person.press("Like")

    long_text = await call.refusal(
        "answerCallbackQuery", callback_query_id=first.id, text="a" * 201
    )
    await call("answerCallbackQuery", callback_query_id=first.id, text="a" * 200)
    again = await call.refusal("answerCallbackQuery", callback_query_id=first.id)
    telegram.expire_callbacks()
    late = await call.refusal("answerCallbackQuery", callback_query_id=second.id)

    assert long_text == "Bad Request: MESSAGE_TOO_LONG"
    assert again == late
    assert late.startswith("Bad Request: query is too old")


async def test_only_a_button_that_stands_there_now_can_be_pressed(
    call: Caller, telegram: FakeTelegram
) -> None:
    message = await call(
        "sendMessage",
        chat_id=7,
        text="a",
        reply_markup=keyboard({"text": "Old", "callback_data": "1"}),
    )
    await call(
        "editMessageReplyMarkup",
        chat_id=7,
        message_id=message["message_id"],
        reply_markup=keyboard({"text": "New", "callback_data": "2"}),
    )

    with pytest.raises(LookupError, match="no button 'Old'"):
        telegram.person(7).press("Old")
    assert telegram.person(7).labels() == ["New"]


@pytest.mark.parametrize(
    ("name", "description", "is_taken"),
    [
        ("a" * 32, "x", True),
        ("a" * 33, "x", False),
        ("Start", "x", False),
        ("new-one", "x", False),
        ("start", "x" * 256, True),
        ("start", "x" * 257, False),
        ("start", "", False),
    ],
)
async def test_commands_keep_their_form(
    call: Caller, name: str, description: str, is_taken: bool
) -> None:
    commands = [{"command": name, "description": description}]

    status, _ = await call.raw("setMyCommands", commands=commands, language_code="zh")

    assert (status == 200) == is_taken
    assert await call("getMyCommands", language_code="zh") == (commands if is_taken else [])


async def test_commands_are_kept_by_scope_and_language(call: Caller) -> None:
    one = [{"command": "stats", "description": "Figures"}]
    scope = {"type": "chat", "chat_id": 7}

    await call("setMyCommands", commands=one, scope=scope)
    too_many = await call.refusal("setMyCommands", commands=one * 101)

    assert await call("getMyCommands", scope=scope) == one
    assert await call("getMyCommands") == []
    assert too_many == "Bad Request: BOT_COMMANDS_TOO_MUCH"


@pytest.mark.parametrize(
    ("method", "field", "most"),
    [
        ("setMyDescription", "description", 512),
        ("setMyShortDescription", "short_description", 120),
        ("setMyName", "name", 64),
    ],
)
async def test_the_bots_words_are_bounded(
    call: Caller, method: str, field: str, most: int
) -> None:
    await call(method, **{field: "a" * most, "language_code": "en"})
    await call.refusal(method, **{field: "a" * (most + 1)})

    got = await call(method.replace("set", "get"), language_code="en")
    assert got == {field: "a" * most}


@pytest.mark.parametrize(("n", "is_sent"), [(1, False), (2, True), (10, True), (11, False)])
async def test_an_album_has_2_to_10_pictures(call: Caller, n: int, is_sent: bool) -> None:
    album = [{"type": "photo", "media": f"https://example.org/{i}.png"} for i in range(n)]

    status, _ = await call.raw("sendMediaGroup", chat_id=7, media=album)

    assert (status == 200) == is_sent


async def test_documents_and_pictures_make_no_album(call: Caller) -> None:
    album = [
        {"type": "photo", "media": "https://example.org/a.png"},
        {"type": "document", "media": "https://example.org/a.pdf"},
    ]

    assert await call.refusal("sendMediaGroup", chat_id=7, media=album) == (
        "Bad Request: Document can't be mixed with other media types"
    )


async def test_a_picture_is_uploaded_once_and_sent_again_by_id(call: Caller) -> None:
    status, answer = await call.upload("sendPhoto", "photo", PNG, chat_id="7", caption="a")
    file_id = answer["result"]["photo"][-1]["file_id"]
    again = await call("sendPhoto", chat_id=7, photo=file_id)
    unknown = await call.refusal("sendPhoto", chat_id=7, photo="AgACnothing")

    assert status == 200
    assert again["photo"][-1]["file_id"] == file_id
    assert unknown == "Bad Request: wrong file identifier/HTTP URL specified"


async def test_a_picture_comes_back_in_sizes_with_the_whole_one_last(call: Caller) -> None:
    _, answer = await call.upload("sendPhoto", "photo", PNG, chat_id="7")
    small, whole = answer["result"]["photo"]

    assert (whole["width"], whole["height"]) == (640, 480)
    assert small["width"] < whole["width"]
    assert await call.refusal("sendPhoto", chat_id=7, photo=small["file_id"]) == (
        "Bad Request: wrong file identifier/HTTP URL specified"
    )


async def test_a_message_that_has_a_picture_can_get_another_but_no_text(call: Caller) -> None:
    _, answer = await call.upload("sendPhoto", "photo", PNG, chat_id="7", caption="a")
    number = answer["result"]["message_id"]
    _, other = await call.upload("sendPhoto", "photo", PNG, chat_id="7")
    other_id = other["result"]["photo"][-1]["file_id"]
    media = {"type": "photo", "media": other_id, "caption": "b"}

    edited = await call("editMessageMedia", chat_id=7, message_id=number, media=media)
    same = await call.refusal("editMessageMedia", chat_id=7, message_id=number, media=media)
    text = await call.refusal("editMessageText", chat_id=7, message_id=number, text="c")
    long = await call.refusal(
        "editMessageMedia", chat_id=7, message_id=number, media=media | {"caption": "a" * 1025}
    )

    assert edited["photo"][-1]["file_id"] == other_id
    assert edited["caption"] == "b"
    assert same.startswith("Bad Request: message is not modified")
    assert text == "Bad Request: there is no text in the message to edit"
    assert long == "Bad Request: message caption is too long"


async def test_a_picture_is_a_picture_of_up_to_10_megabytes(call: Caller) -> None:
    full = PNG + b"\0" * (limits.PHOTO_BYTES - len(PNG))

    status, _ = await call.upload("sendPhoto", "photo", full, chat_id="7")
    too_big, answer = await call.upload("sendPhoto", "photo", full + b"\0", chat_id="7")
    _, no_picture = await call.upload("sendPhoto", "photo", b"<html>", chat_id="7")
    long_side = PNG[:16] + (9000).to_bytes(4) + (400).to_bytes(4)
    _, odd = await call.upload("sendPhoto", "photo", long_side, chat_id="7")

    assert (status, too_big) == (200, 400)
    assert "is too big for a photo" in answer["description"]
    assert no_picture["description"] == "Bad Request: IMAGE_PROCESS_FAILED"
    assert odd["description"] == "Bad Request: PHOTO_INVALID_DIMENSIONS"


def test_a_file_has_up_to_50_megabytes() -> None:
    limits.upload(bytes(limits.UPLOAD_BYTES))

    with pytest.raises(RefusalError, match="413"):
        limits.upload(bytes(limits.UPLOAD_BYTES + 1))
    with pytest.raises(RefusalError, match="non-empty"):
        limits.upload(b"")


@pytest.mark.parametrize(("size", "is_there"), [(20 * 2**20, True), (20 * 2**20 + 1, False)])
async def test_a_file_of_up_to_20_megabytes_is_downloaded(
    call: Caller, telegram: FakeTelegram, size: int, is_there: bool
) -> None:
    update = telegram.person(7).send_document("课.csv", b"a,b\n", mime="text/csv", size=size)
    assert update is not None
    file_id = update["message"]["document"]["file_id"]
    if not is_there:
        assert await call.refusal("getFile", file_id=file_id) == "Bad Request: file is too big"
        return

    path = (await call("getFile", file_id=file_id))["file_path"]
    token = telegram.token.replace(":", "%3A")
    async with call.session.get(f"{telegram.api_root}/file/bot{token}/{path}") as response:
        content = await response.read()

    assert content == b"a,b\n"


async def test_reactions_come_from_telegrams_list(call: Caller, telegram: FakeTelegram) -> None:
    message = await call("sendMessage", chat_id=7, text="a")
    which = {"chat_id": 7, "message_id": message["message_id"]}

    await call("setMessageReaction", **which, reaction=[{"type": "emoji", "emoji": "👍"}])
    refusal = await call.refusal(
        "setMessageReaction", **which, reaction=[{"type": "emoji", "emoji": "🍅"}]
    )

    assert refusal == "Bad Request: REACTION_INVALID"
    known = {emoji.value.replace("\ufe0f", "") for emoji in ReactionEmoji}
    assert known == limits.REACTIONS


async def test_an_invoice_in_stars_has_one_price(call: Caller) -> None:
    one = {"label": "Course", "amount": 5}
    invoice = {"chat_id": 7, "title": "Soup", "description": "A course", "currency": "XTR"}

    sent = await call("sendInvoice", **invoice, payload="知" * 42, prices=[one])
    two_prices = await call.refusal("sendInvoice", **invoice, payload="a", prices=[one, one])
    long_payload = await call.refusal("sendInvoice", **invoice, payload="知" * 43, prices=[one])

    assert sent["invoice"]["total_amount"] == 5
    assert two_prices == "Bad Request: STARS_INVOICE_INVALID"
    assert long_payload == "Bad Request: INVOICE_PAYLOAD_INVALID"


async def test_who_is_not_there_or_has_blocked_gets_nothing(
    call: Caller, telegram: FakeTelegram
) -> None:
    person = telegram.person(7)
    update = person.block()

    blocked, answer = await call.raw("sendMessage", chat_id=7, text="a")
    person.unblock()

    assert update is not None
    assert update["my_chat_member"]["new_chat_member"]["status"] == "kicked"
    assert (blocked, answer["description"]) == (403, "Forbidden: bot was blocked by the user")
    assert await call.refusal("sendMessage", chat_id=8, text="a") == "Bad Request: chat not found"
    await call("sendMessage", chat_id=7, text="a")


async def test_a_migrated_group_names_its_new_id(call: Caller, telegram: FakeTelegram) -> None:
    old = telegram.group(-5, "Cooks", kind="group")
    telegram.migrate(old, -1005)

    status, answer = await call.raw("sendMessage", chat_id=-5, text="a")

    assert status == 400
    assert answer["parameters"] == {"migrate_to_chat_id": -1005}


async def test_an_unknown_method_is_a_failure_and_a_wrong_token_is_refused(
    call: Caller, telegram: FakeTelegram
) -> None:
    status, answer = await call.raw("sendMesage", chat_id=7, text="a")
    async with call.session.get(f"{telegram.api_root}/bot1:wrong/getMe") as response:
        unauthorised = response.status

    assert (status, answer["ok"], unauthorised) == (404, False, 401)
    with pytest.raises(AssertionError, match="unknown method sendMesage"):
        telegram.check()


async def test_an_unexpected_refusal_and_an_unanswered_press_fail_the_check(
    call: Caller, telegram: FakeTelegram
) -> None:
    await call(
        "sendMessage",
        chat_id=7,
        text="a",
        reply_markup=keyboard({"text": "Like", "callback_data": "1"}),
    )
    telegram.check()

    await call.refusal("sendMessage", chat_id=7, text="")
    telegram.expect_refusal("message text is empty")
    callback = telegram.person(7).press("Like")

    assert telegram.failures() == [f"callback {callback.id} was never answered"]
    await call("answerCallbackQuery", callback_query_id=callback.id)
    telegram.check()


async def test_a_structure_of_the_wrong_shape_is_refused(call: Caller) -> None:
    refusal = await call.refusal("sendMediaGroup", chat_id=7, media=["a", "b"])

    assert refusal.startswith("Bad Request: can't parse parameters of sendMediaGroup")


async def test_a_person_keeps_their_language_and_some_clients_have_none(
    telegram: FakeTelegram,
) -> None:
    update = telegram.person(7).send_text("a")
    silent = telegram.person(8, None).send_text("a")

    assert update is not None
    assert update["message"]["from"]["language_code"] == "zh"
    assert silent is not None
    assert "language_code" not in silent["message"]["from"]


async def test_forms_and_queries_are_read_like_json(call: Caller, telegram: FakeTelegram) -> None:
    where = f"{telegram.api_root}/bot{telegram.token}/sendmessage"
    markup = json.dumps(keyboard({"text": "[", "callback_data": "["}))

    async with call.session.post(
        where, data={"chat_id": "7", "text": "[1]", "reply_markup": markup}
    ) as response:
        posted = await response.json()
    async with call.session.get(where, params={"chat_id": "7", "text": "a"}) as response:
        got = await response.json()
    broken = await call.refusal("sendMessage", chat_id=7, text="a", reply_markup="{")

    assert posted["result"]["text"] == "[1]"
    assert got["result"]["text"] == "a"
    assert broken == "Bad Request: can't parse reply markup JSON object"


async def test_updates_stay_until_they_are_confirmed(call: Caller, telegram: FakeTelegram) -> None:
    person = telegram.person(7)
    for text in "abc":
        person.send_text(text)

    first = await call("getUpdates", limit=2)
    again = await call("getUpdates", limit=2)
    rest = await call("getUpdates", offset=first[-1]["update_id"] + 1)
    last = await call("getUpdates", offset=-1)

    assert [u["message"]["text"] for u in first] == ["a", "b"]
    assert again == first
    assert [u["message"]["text"] for u in rest] == ["c"]
    assert last == rest


async def test_a_redelivered_update_comes_even_after_it_was_confirmed(
    call: Caller, telegram: FakeTelegram
) -> None:
    update = telegram.person(7).send_text("a")
    assert update is not None
    await call("getUpdates", offset=update["update_id"] + 1)

    telegram.redeliver(update)

    assert await call("getUpdates") == [update]
    assert await call("getUpdates") == []


async def test_a_repeat_never_makes_a_bot_confirm_what_it_did_not_get(
    call: Caller, telegram: FakeTelegram
) -> None:
    for n in range(150):
        telegram.person(7).send_text(str(n))
    for update in list(telegram.state.updates)[4:100:5]:
        telegram.redeliver(update)
    got: set[int] = set()

    for _ in range(10):
        due = await call("getUpdates", limit=100)
        got |= {update["update_id"] for update in due}
        if due:
            await call("getUpdates", offset=max(u["update_id"] for u in due) + 1, limit=1)

    assert len(got) == 150


async def test_updates_nobody_asked_for_do_not_come(call: Caller, telegram: FakeTelegram) -> None:
    await call("getUpdates", allowed_updates=["callback_query"])
    telegram.person(7).send_text("a")
    kept = await call("getUpdates")
    await call("getUpdates", allowed_updates=[])
    telegram.person(7).send_text("b")

    assert kept == []
    assert len(await call("getUpdates")) == 1


async def test_a_long_poll_wakes_on_the_first_update(call: Caller, telegram: FakeTelegram) -> None:
    poll = asyncio.create_task(call("getUpdates", timeout=30))
    await asyncio.sleep(0.1)

    telegram.person(7).send_text("now")

    (update,) = await asyncio.wait_for(poll, 2)
    assert update["message"]["text"] == "now"


async def test_a_second_poll_ends_the_first_with_409(call: Caller) -> None:
    first = asyncio.create_task(call.raw("getUpdates", timeout=30))
    await asyncio.sleep(0.1)

    await call("getUpdates", timeout=0)

    status, answer = await asyncio.wait_for(first, 2)
    assert status == 409
    assert "terminated by other getUpdates request" in answer["description"]


async def test_polling_and_a_webhook_exclude_each_other(call: Caller) -> None:
    await call("setWebhook", url="http://127.0.0.1:9/hook", secret_token="s")
    conflict = await call.refusal("getUpdates")
    await call("deleteWebhook")

    assert conflict.startswith("Conflict: can't use getUpdates method while webhook is active")
    assert await call("getUpdates") == []
    assert "HTTPS" in await call.refusal("setWebhook", url="http://example.org/hook")
    assert "unallowed" in await call.refusal(
        "setWebhook", url="https://example.org/hook", secret_token="a b"
    )


class Hook:
    """A webhook that refuses the first posts and remembers the rest."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.posts: list[tuple[str, str]] = []

    async def receive(self, request: web.Request) -> web.Response:
        update = await request.json()
        self.posts.append(
            (
                update["message"]["text"],
                request.headers.get("X-Telegram-Bot-Api-Secret-Token", ""),
            )
        )
        if self.refusals:
            self.refusals -= 1
            return web.Response(status=503)
        answer = {"method": "sendMessage", "chat_id": 7, "text": f"got {self.posts[-1][0]}"}
        return web.json_response(answer)


async def serving(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/hook"


async def test_a_webhook_gets_updates_in_order_until_it_takes_them(
    call: Caller, telegram: FakeTelegram
) -> None:
    hook = Hook(refusals=2)
    app = web.Application()
    app.router.add_post("/hook", hook.receive)
    runner, where = await serving(app)
    person = telegram.person(7)

    try:
        await call("setWebhook", url=where, secret_token="s3cret")
        person.send_text("a")
        person.send_text("b")
        replies = [(await person.wait_reply())["text"] for _ in range(2)]
        info = await call("getWebhookInfo")
    finally:
        await runner.cleanup()

    assert hook.posts == [(text, "s3cret") for text in ["a", "a", "a", "b"]]
    assert replies == ["got a", "got b"]
    assert info["last_error_message"].startswith("Wrong response from the webhook: 503")


async def test_a_refusing_fault_strikes_as_often_as_it_was_told(
    call: Caller, telegram: FakeTelegram
) -> None:
    fault = telegram.faults.add(
        Fault(kind="refuse", method="sendMessage", times=2, retry_after=3, skip=1)
    )

    answers = [await call.raw("sendMessage", chat_id=7, text=str(n)) for n in range(4)]

    assert [status for status, _ in answers] == [200, 429, 429, 200]
    assert answers[1][1]["parameters"] == {"retry_after": 3}
    assert answers[1][1]["description"] == "Too Many Requests: retry after 3"
    assert fault.struck == 2
    assert [m["text"] for m in telegram.person(7).bot_messages()] == ["0", "3"]
    telegram.check()


@pytest.mark.parametrize(("kind", "n_sent"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_dropped_call_is_done_or_not_but_never_answered(
    call: Caller, telegram: FakeTelegram, kind: Any, n_sent: int
) -> None:
    telegram.faults.add(Fault(kind=kind, method="sendMessage"))

    # A posted body is not repeated by the client, so that exactly one call is lost.
    with pytest.raises(aiohttp.ClientError):
        await call.raw("sendMessage", chat_id=7, text="a")

    assert len(telegram.person(7).bot_messages()) == n_sent


async def test_an_answer_can_be_late_or_broken(call: Caller, telegram: FakeTelegram) -> None:
    telegram.faults.add(Fault(kind="delay", seconds=0.2))
    telegram.faults.add(Fault(kind="malformed"))

    await call("sendMessage", chat_id=7, text="a")
    with pytest.raises(json.JSONDecodeError):
        await call.raw("sendMessage", chat_id=7, text="b")

    assert telegram.calls_of("sendMessage")[0].seconds >= 0.2
    assert len(telegram.person(7).bot_messages()) == 2


async def test_duplicated_updates_come_twice_with_one_id(
    call: Caller, telegram: FakeTelegram
) -> None:
    telegram.faults.duplicate_probability = 1.0
    update = telegram.person(7).send_text("a")
    assert update is not None

    first = await call("getUpdates")
    telegram.faults.clear()
    second = await call("getUpdates", offset=update["update_id"] + 1)

    assert first == second == [update]


def test_flood_control_refills_with_time() -> None:
    now = [0.0]
    rates = RateLimits(clock=lambda: now[0], chat_burst=2, group_burst=2)
    rates.spend(7)
    rates.spend(7)

    with pytest.raises(RefusalError, match="retry after 1"):
        rates.spend(7)
    now[0] = 1.0
    rates.spend(7)
    rates.spend(-7)
    rates.spend(-7)

    with pytest.raises(RefusalError, match="retry after 3"):
        rates.spend(-7)


def test_flood_control_bounds_everybody_together() -> None:
    rates = RateLimits(clock=lambda: 0.0)
    for chat_id in range(1, 31):
        rates.spend(chat_id)

    with pytest.raises(RefusalError, match="429"):
        rates.spend(31)


async def test_flood_control_refuses_calls_until_it_is_switched_off(
    call: Caller, telegram: FakeTelegram
) -> None:
    async with call.session.post(f"{telegram.api_root}/control/rates", json={"chat_burst": 1}):
        pass

    statuses = [(await call.raw("sendMessage", chat_id=7, text=str(n)))[0] for n in range(2)]
    telegram.rate_limits = None
    await call("sendMessage", chat_id=7, text="at last")

    assert statuses == [200, 429]
    telegram.check()


@pytest.mark.parametrize(
    ("text", "reaches"),
    [
        ("good evening", False),
        ("/help", True),
        ("/help@zhiwei_test_bot", True),
        ("/help@other_bot", False),
    ],
)
async def test_in_a_group_the_bot_reads_only_what_is_meant_for_it(
    telegram: FakeTelegram, text: str, reaches: bool
) -> None:
    group = telegram.group(-100, "Cooks")

    update = telegram.person(7).send_text(text, chat=group)

    assert (update is not None) == reaches


async def test_in_a_group_a_reply_to_the_bot_reaches_it(
    call: Caller, telegram: FakeTelegram
) -> None:
    group = telegram.group(-100, "Cooks")
    message = await call("sendMessage", chat_id=-100, text="a")

    assert telegram.person(7).send_text("b", chat=group, reply_to_message=message) is not None


async def test_more_than_100_entities_are_shown_as_plain_text(call: Caller) -> None:
    text = "<b>a</b> " * 101

    message = await call("sendMessage", chat_id=7, text=text, parse_mode="HTML")

    assert len(message["entities"]) == 100


async def test_a_long_text_arrives_in_parts_as_clients_send_it(telegram: FakeTelegram) -> None:
    person = telegram.person(7)

    person.send_text("🍅" * 2500)

    texts = [m["text"] for m in person.chat.messages.values()]
    assert texts == ["🍅" * 2048, "🍅" * 452]


def test_a_start_link_carries_only_what_links_can(telegram_off_the_net: FakeTelegram) -> None:
    person = telegram_off_the_net.person(7)

    assert person.send_command("/start " + "a" * 64) is not None
    with pytest.raises(ValueError, match="can carry the payload"):
        person.send_command("/start " + "a" * 65)


@pytest.fixture
async def telegram_off_the_net() -> FakeTelegram:
    return FakeTelegram()


async def test_old_calls_and_messages_are_forgotten_when_told_so() -> None:
    async with (
        FakeTelegram(keep_calls=5, keep_messages=3) as telegram,
        aiohttp.ClientSession() as session,
    ):
        telegram.person(7)
        call = Caller(telegram, session)
        for n in range(10):
            await call("sendMessage", chat_id=7, text=str(n))

        assert len(telegram.state.calls) == 5
        assert [m["text"] for m in telegram.person(7).bot_messages()] == ["7", "8", "9"]
        assert telegram.state.calls_by_method == {"sendMessage": 10}


async def echo(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    if update.message is not None and update.message.text is not None:
        await update.message.reply_html(f"<b>{len(update.message.text)}</b> {update.message.text}")


def echo_bot(telegram: FakeTelegram) -> Application[Any, Any, Any, Any, Any, Any]:
    bot = (
        ApplicationBuilder()
        .token(telegram.token)
        .base_url(f"{telegram.api_root}/bot")
        .base_file_url(f"{telegram.api_root}/file/bot")
        .build()
    )
    bot.add_handler(MessageHandler(filters.TEXT, echo))
    return bot


async def test_python_telegram_bot_polls_it(telegram: FakeTelegram) -> None:
    person = telegram.person(7)
    bot = echo_bot(telegram)

    async with bot:
        await bot.start()
        assert bot.updater is not None
        await bot.updater.start_polling(timeout=5)
        person.send_text("知味")
        reply = await person.wait_reply()
        await bot.updater.stop()
        await bot.stop()

    assert reply["text"] == "2 知味"
    assert reply["entities"] == [{"type": "bold", "offset": 0, "length": 1}]
    telegram.check()


async def test_python_telegram_bot_takes_its_webhook_posts(telegram: FakeTelegram) -> None:
    person = telegram.person(7)
    bot = echo_bot(telegram)

    async def receive(request: web.Request) -> web.Response:
        await bot.update_queue.put(Update.de_json(await request.json(), bot.bot))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner, where = await serving(app)
    try:
        async with bot:
            await bot.start()
            await bot.bot.set_webhook(where, secret_token="s")
            person.send_text("a")
            reply = await person.wait_reply()
            assert (await bot.bot.get_webhook_info()).url == where
            await bot.bot.delete_webhook()
            await bot.stop()
    finally:
        await runner.cleanup()

    assert reply["text"] == "1 a"
    telegram.check()


async def test_python_telegram_bot_reads_every_kind_of_answer(telegram: FakeTelegram) -> None:
    person = telegram.person(7)
    update = person.send_document("a b.txt", b"hello")
    assert update is not None
    bot = echo_bot(telegram).bot

    async with bot:
        me = await bot.get_me()
        photo = await bot.send_photo(7, PNG, caption="<i>x</i>", parse_mode="HTML")
        await bot.edit_message_caption(7, photo.message_id, caption="y")
        await bot.set_my_commands([("help", "Help")], language_code="zh")
        commands = await bot.get_my_commands(language_code="zh")
        stored = await bot.get_file(update["message"]["document"]["file_id"])
        content = await stored.download_as_bytearray()
        chat = await bot.get_chat(7)
        button = await bot.get_chat_menu_button(7)
        member = await bot.get_chat_member(7, 7)

    assert me.is_bot
    assert photo.caption == "x"
    assert commands[0].command == "help"
    assert bytes(content) == b"hello"
    assert (chat.id, button.type, member.user.id) == (7, "commands", 7)
    telegram.check()


async def test_another_process_serves_the_same_and_is_driven_over_json() -> None:
    async with (
        running_telegram("--token", "5:black-box") as telegram,
        aiohttp.ClientSession() as session,
    ):
        where = f"{telegram.api_root}/bot{telegram.token}"
        await telegram.send_text(9, "hello")
        async with session.get(f"{where}/getUpdates") as response:
            updates = (await response.json())["result"]
        await telegram.fault(kind="refuse", method="sendMessage", status=502)
        statuses = []
        markup = json.dumps(keyboard({"text": "Like", "callback_data": "1"}))
        for _ in range(2):
            message = {"chat_id": 9, "text": "hi", "reply_markup": markup}
            async with session.post(f"{where}/sendMessage", data=message) as response:
                statuses.append(response.status)
        (reply,) = await telegram.wait_replies(9)
        callback = await telegram.press(9, "Like")
        failures = await telegram.ask("GET", "failures")
        stats = await telegram.stats()
        with pytest.raises(LookupError, match="no button 'Dislike'"):
            await telegram.press(9, "Dislike")

    assert updates[0]["message"]["text"] == "hello"
    assert statuses == [502, 200]
    assert reply["text"] == "hi"
    assert failures == [f"callback {callback} was never answered"]
    assert stats["calls_by_method"]["sendMessage"] == 2
    assert stats["answered"] == 1


async def test_a_load_is_written_at_its_rate_by_a_few_busy_people() -> None:
    async with running_telegram() as telegram:
        await telegram.ask("POST", "load", rate=200, seconds=0.5, users=50, texts=["/help"])
        async with asyncio.timeout(10):
            while not (stats := await telegram.stats())["loads"][0]["is_done"]:
                await asyncio.sleep(0.05)

    assert stats["backlog"] == stats["unanswered"] == stats["updates"] == 100
