"""The front page, sign-in through Telegram, sign-out, and the language switch."""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from datetime import timedelta

from starlette.responses import Response

from bot.studio.sessions import (
    INIT_DATA_AGE,
    SignInRefused,
    Vouched,
    new_guest,
    new_member,
    verify_init_data,
    verify_login,
)
from bot.studio.visit import LANGUAGE_COOKIE, Visit, local_path, telegram_url, to
from data.vocabulary import Language

_MOST_PROOFS = 10_000


class UsedProofs:
    """Proofs of the last hour: each opens one session, so that a copied address opens none."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, float] = OrderedDict()

    def take(self, proof: str, moment: float) -> bool:
        """Whether the proof is new."""
        horizon = moment - (INIT_DATA_AGE + timedelta(minutes=5)).total_seconds()
        while self._seen and next(iter(self._seen.values())) < horizon:
            self._seen.popitem(last=False)
        if proof in self._seen or len(self._seen) >= _MOST_PROOFS:
            return False
        self._seen[proof] = moment
        return True


async def front(visit: Visit) -> Response:
    return to("/chat")


async def sign_in_page(visit: Visit) -> Response:
    return visit.page("sign_in.html", telegram_url=telegram_url(visit))


async def sign_in(visit: Visit) -> Response:
    """Take `init_data` of a Mini App, or `login` (base64 of JSON, or a query string) of Telegram Login."""
    token = visit.studio.wired.settings.telegram_token
    if token is None or not visit.studio.is_public:
        return to("/chat")
    try:
        vouched = _vouched(visit, token.get_secret_value())
    except SignInRefused:
        return visit.refusal("refused.sign_in", status=403)
    proofs: UsedProofs = visit.studio.remembered(UsedProofs)
    if not proofs.take(vouched.proof, visit.at.timestamp()):
        return visit.refusal("refused.sign_in", status=403)
    visit.session = new_member(vouched, visit.at)
    visit.audit("sign_in")
    return to("/chat")


def _vouched(visit: Visit, token: str) -> Vouched:
    init_data = visit.text("init_data", limit=8_192)
    if init_data:
        return verify_init_data(init_data, token, at=visit.at)
    encoded = visit.text("login", limit=8_192)
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        fields = json.loads(base64.b64decode(padded, altchars=b"-_"))
    except (ValueError, binascii.Error):
        raise SignInRefused("unreadable") from None
    if not isinstance(fields, dict):
        raise SignInRefused("unreadable")
    return verify_login({str(k): str(v) for k, v in fields.items()}, token, at=visit.at)


async def sign_out(visit: Visit) -> Response:
    visit.session = new_guest(visit.at)
    return to("/sign-in" if visit.studio.is_public else "/chat")


async def speak(visit: Visit) -> Response:
    code = str(visit.request.path_params["code"])
    response = to(local_path(visit.asked("next", "/")))
    if code in set(Language):
        response.set_cookie(
            LANGUAGE_COOKIE,
            code,
            max_age=365 * 86_400,
            samesite="lax",
            httponly=True,
            secure=visit.studio.is_public,
        )
    return response
