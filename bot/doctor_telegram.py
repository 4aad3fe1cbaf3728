"""What `zhiwei doctor` asks of Telegram: the token, the webhook, what waits there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from bot.findings import Finding
from bot.redaction import redact
from bot.settings import Settings

TELEGRAM_SECONDS = 8.0


def telegram(s: Settings, now: datetime) -> Iterator[Finding]:
    """Ask Telegram whose the token is and where updates go; a network that is down is a finding."""
    if s.telegram_token is None:
        yield Finding(subject="telegram", fact="no token is set; the terminal chat is used")
        return
    token = s.telegram_token.get_secret_value()
    if not s.admins:
        yield Finding(
            subject="telegram", fact="no admin is set, so nobody hears of parked updates",
            remedy="set ZHIWEI_ADMINS to your numeric user id",
        )  # fmt: skip
    try:
        yield from asyncio.run(_ask(s, token, now))
    except Exception as error:  # whatever the network does is a finding
        fact = redact(f"{s.telegram_api} gave no answer: {error or type(error).__name__}", [token])
        yield Finding(
            subject="telegram",
            fact=fact,
            is_ok=False,
            remedy="check the token, the network and ZHIWEI_TELEGRAM_API",
        )


async def _ask(s: Settings, token: str, now: datetime) -> list[Finding]:
    from telegram import Bot

    from bot.telegram_http import BotApiRequest

    root = s.telegram_api.rstrip("/")
    request = BotApiRequest(root, connect_seconds=TELEGRAM_SECONDS, read_seconds=TELEGRAM_SECONDS)
    async with asyncio.timeout(3 * TELEGRAM_SECONDS), request:
        bot = Bot(token, base_url=f"{root}/bot", request=request)
        me = await bot.get_me()
        hook = await bot.get_webhook_info()
    findings = [Finding(subject="telegram", fact=f"the token belongs to @{me.username}")]
    wanted = s.webhook_url
    if hook.url != wanted:
        told = f"Telegram posts to {hook.url}" if hook.url else "Telegram has no webhook"
        ours = f"ZHIWEI_WEBHOOK_URL is {wanted}" if wanted else "ZHIWEI_WEBHOOK_URL is not set"
        # A poller removes a webhook at its start, so only an unknown address is a trouble.
        findings.append(
            Finding(
                subject="webhook", fact=f"{told}, {ours}", is_ok=not hook.url or not wanted,
                remedy="restart the bot, and see whether another one uses this token",
            )
        )  # fmt: skip
    failed_at = hook.last_error_date
    if hook.url and failed_at is not None and now - failed_at < timedelta(hours=1):
        findings.append(
            Finding(
                subject="webhook",
                fact=f"Telegram failed to post at {failed_at:%H:%M} UTC: {hook.last_error_message}",
                is_ok=False,
                remedy="check the certificate, the address and the proxy in front of the bot",
            )
        )
    findings.append(
        Finding(
            subject="webhook",
            fact=f"{hook.pending_update_count} updates wait at Telegram",
            is_ok=hook.pending_update_count < 100,
            remedy="" if hook.pending_update_count < 100 else "start the bot",
        )
    )
    return findings
