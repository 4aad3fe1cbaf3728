"""A bot made with python-telegram-bot goes through a third party's Telegram."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import BadRequest, InvalidToken
from telegram.ext import (
    Application,
    ApplicationBuilder,
    CallbackQueryHandler,
    CommandHandler,
    ContextTypes,
    MessageHandler,
    filters,
)

from tests.emulator.process import FOLDER, VERSION, Emulator, installed_or_skip, running_emulator

pytestmark = pytest.mark.emulator
Bot = Application[Any, Any, Any, Any, Any, Any]


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    installed_or_skip()
    async with running_emulator() as running:
        yield running


async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.message is not None
    assert update.message.from_user is not None
    assert context.args is not None
    button = InlineKeyboardButton("Like", callback_data="like:1")
    await update.message.reply_text(
        f"welcome {context.args} {update.message.from_user.language_code}",
        reply_markup=InlineKeyboardMarkup([[button]]),
    )


async def echo(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    assert update.message is not None
    await update.message.reply_text(f"you said {update.message.text}")


async def pressed(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    query = update.callback_query
    assert query is not None
    await query.answer("noted")
    await query.edit_message_text(f"pressed {query.data}")


def echo_bot(emulator: Emulator) -> Bot:
    bot = (
        ApplicationBuilder()
        .token(emulator.token)
        .base_url(f"{emulator.api_root}/bot")
        .base_file_url(f"{emulator.api_root}/file/bot")
        .build()
    )
    bot.add_handler(CommandHandler("start", start))
    bot.add_handler(MessageHandler(filters.TEXT, echo))
    bot.add_handler(CallbackQueryHandler(pressed))
    return bot


async def talk(emulator: Emulator) -> None:
    user = emulator.user(7, language_code="zh")

    await user.send_text("知味")
    echoed = await user.wait_reply()
    await user.send_command("/start lesson_1")
    welcome = await user.wait_reply()
    await user.press(welcome, "Like")
    edited = await user.wait_edit(welcome)
    await user.wait_answers(1)

    assert echoed["text"] == "you said 知味"
    assert welcome["text"] == "welcome ['lesson_1'] zh"
    assert edited["text"] == "pressed like:1"
    assert emulator.gateway.callback_answers[0]["text"] == "noted"
    assert emulator.gateway.unknown_methods == []
    with pytest.raises(LookupError, match="no button 'Like'"):
        await user.press(edited, "Like")


async def test_a_bot_that_polls_talks_presses_and_edits(emulator: Emulator) -> None:
    bot = echo_bot(emulator)

    async with bot:
        await bot.start()
        assert bot.updater is not None
        await bot.updater.start_polling(timeout=5)
        await talk(emulator)
        await bot.updater.stop()
        await bot.stop()


async def test_a_bot_with_a_webhook_gets_the_same_with_its_secret(emulator: Emulator) -> None:
    bot = echo_bot(emulator)
    secrets: list[str | None] = []

    async def receive(request: web.Request) -> web.Response:
        secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        if len(secrets) == 1:
            return web.Response(status=503)
        await bot.update_queue.put(Update.de_json(await request.json(), bot.bot))
        return web.Response()

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    where = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        async with bot:
            await bot.start()
            await bot.bot.set_webhook(where, secret_token="s3cret")
            assert (await bot.bot.get_webhook_info()).url == where
            await talk(emulator)
            await bot.bot.delete_webhook()
            await bot.stop()
    finally:
        await runner.cleanup()

    assert secrets == ["s3cret"] * 4


async def test_two_users_do_not_read_each_others_answers(emulator: Emulator) -> None:
    bot = echo_bot(emulator).bot

    async with bot:
        await bot.send_message(7, "for seven")
        await bot.send_message(8, "for eight")

    assert (await emulator.user(7).wait_reply())["text"] == "for seven"
    assert (await emulator.user(8).wait_reply())["text"] == "for eight"


async def test_updates_stay_until_the_bot_confirms_them(emulator: Emulator) -> None:
    bot = echo_bot(emulator).bot
    await emulator.user().send_text("a")

    async with bot:
        first = await bot.get_updates(timeout=2)
        again = await bot.get_updates()
        after = await bot.get_updates(offset=first[-1].update_id + 1)

    assert [update.message.text for update in first if update.message] == ["a"]
    assert [update.update_id for update in again] == [first[0].update_id]
    assert after == ()


async def test_what_the_emulator_lacks_is_filled_in(emulator: Emulator) -> None:
    bot = echo_bot(emulator).bot
    markup = InlineKeyboardMarkup([[InlineKeyboardButton("Why", callback_data="why")]])

    async with bot:
        photo = await bot.send_photo(7, b"\x89PNG...", caption="soup", reply_markup=markup)
        await bot.edit_message_reply_markup(7, photo.message_id)
        bare = await emulator.user().current(photo.message_id)
        await bot.edit_message_caption(7, photo.message_id, caption="stew", reply_markup=markup)
        assert await bot.send_chat_action(7, "typing")
        assert await bot.set_my_commands([("help", "Help")])
        current = await emulator.user().current(photo.message_id)
        assert await bot.delete_message(7, photo.message_id)
        with pytest.raises(BadRequest, match="essage to edit not found"):
            await bot.edit_message_text("x", 7, photo.message_id)
        with pytest.raises(BadRequest, match="wasn't found"):
            await bot.delete_message(7, photo.message_id)

    assert photo.caption == "soup"
    assert photo.photo
    assert bare["reply_markup"] == {"inline_keyboard": []}
    assert current["text"] == "stew"
    assert current["reply_markup"] == json.loads(markup.to_json())
    assert await emulator.user().bot_messages() == []


async def test_a_method_that_nobody_knows_is_remembered(emulator: Emulator) -> None:
    bot = echo_bot(emulator).bot

    async with bot:
        with pytest.raises(InvalidToken):
            await bot.send_dice(7)

    assert emulator.gateway.unknown_methods == ["sendDice"]


def test_the_pinned_version_is_the_one_that_runs() -> None:
    installed_or_skip()
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    found = json.loads((FOLDER / "node_modules/telegram-test-api/package.json").read_text())

    assert wanted == {"telegram-test-api": VERSION}
    assert found["version"] == VERSION
