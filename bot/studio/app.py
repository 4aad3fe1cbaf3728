"""The studio's application: its routes, who may use each, and the layers around them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from bot.studio import (
    catalogue,
    chat,
    comparing,
    courses,
    coverage,
    door,
    figures,
    golden,
    item_form,
    learning_page,
    pairings,
    people,
    pictures,
)
from bot.studio.security import BodyLimit, LoopbackOnly, SecureAnswers
from bot.studio.sessions import Role
from bot.studio.visit import Handler, Studio, endpoint, utc_now
from bot.wiring import Wired
from data.errors import SettingsError

logger = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"

_PAGES: tuple[tuple[str, str, Handler, Role | None], ...] = (
    ("GET", "/", door.front, None),
    ("GET", "/sign-in", door.sign_in_page, None),
    ("POST", "/sign-in", door.sign_in, None),
    ("POST", "/sign-out", door.sign_out, None),
    ("GET", "/language/{code}", door.speak, None),
    ("GET", "/chat", chat.show, Role.LEARNER),
    ("POST", "/chat", chat.say, Role.LEARNER),
    ("POST", "/chat/press", chat.press, Role.LEARNER),
    ("POST", "/chat/clear", chat.clear, Role.LEARNER),
    ("GET", "/chat/files/{number:int}", chat.document, Role.LEARNER),
    ("GET", "/chat/pictures/{number:int}", chat.picture, Role.LEARNER),
    ("GET", "/cards/{item_id}", pictures.card, Role.LEARNER),
    ("GET", "/pairings", pairings.show, Role.CREATOR),
    ("POST", "/pairings/preview", pairings.preview, Role.CREATOR),
    ("POST", "/pairings/lesson", pairings.keep_lesson, Role.CREATOR),
    ("POST", "/pairings/rule", pairings.rule, Role.CREATOR),
    ("POST", "/pairings/judge", pairings.judge, Role.CREATOR),
    ("POST", "/pairings/compare", comparing.compare, Role.CREATOR),
    ("POST", "/pairings/vote", comparing.vote, Role.CREATOR),
    ("GET", "/pairings/course/{digest}", courses.show, Role.CREATOR),
    ("POST", "/pairings/course/{digest}/keep", courses.keep, Role.CREATOR),
    ("GET", "/golden", golden.show, Role.CREATOR),
    ("POST", "/golden/save", golden.save, Role.CREATOR),
    ("POST", "/golden/run", golden.run, Role.CREATOR),
    ("POST", "/golden/delete", golden.delete, Role.CREATOR),
    ("GET", "/coverage", coverage.show, Role.CREATOR),
    ("GET", "/catalogue", catalogue.show, Role.CREATOR),
    ("GET", "/catalogue/item", item_form.show, Role.ADMIN),
    ("POST", "/catalogue/item/save", item_form.save, Role.ADMIN),
    ("POST", "/catalogue/item/remove", item_form.remove, Role.ADMIN),
    ("POST", "/catalogue/import", catalogue.preview, Role.CREATOR),
    ("GET", "/catalogue/problems/{digest}", catalogue.problems, Role.CREATOR),
    ("POST", "/catalogue/publish", catalogue.publish, Role.ADMIN),
    ("POST", "/catalogue/rollback", catalogue.rollback, Role.ADMIN),
    ("GET", "/figures", figures.show, Role.ADMIN),
    ("GET", "/figures/learning", learning_page.show, Role.ADMIN),
    ("POST", "/figures/learning/work", learning_page.work_out, Role.ADMIN),
    ("GET", "/figures/learning/{name}.png", learning_page.plot, Role.ADMIN),
    ("GET", "/figures/learning/{name}.csv", learning_page.table, Role.ADMIN),
    ("GET", "/figures/{name}.png", figures.plot, Role.ADMIN),
    ("GET", "/figures/{name}.csv", figures.table, Role.ADMIN),
    ("GET", "/people", people.ask, Role.ADMIN),
    ("POST", "/people", people.show, Role.ADMIN),
)


def build_app(
    wired: Wired,
    *,
    public: bool,
    clock: Callable[[], datetime] = utc_now,
    routes: Sequence[BaseRoute] = (),
) -> Starlette:
    """Give the application.

    Args:
        wired: The parts; opened when first needed.
        public: Whether others than this machine may come; they must sign in through Telegram.
        clock: The time, for tests.
        routes: Further routes of other parts (webhook, health).

    Raises:
        SettingsError: it shall be public, but there is no bot that could vouch for anybody.
    """
    if public and wired.settings.telegram_token is None:
        raise SettingsError(
            "a public studio signs people in through Telegram, but ZHIWEI_TELEGRAM_TOKEN is not "
            "set; set it, or serve on 127.0.0.1"
        )
    studio = Studio(wired=wired, is_public=public, clock=clock)
    pages = [
        Route(path, endpoint(studio, handler, role), methods=[method])
        for method, path, handler, role in _PAGES
    ]
    layers = [Middleware(SecureAnswers, is_public=public), Middleware(BodyLimit)]
    if not public:
        layers.append(Middleware(LoopbackOnly))
    app = Starlette(
        routes=[*routes, *pages, Mount("/static", StaticFiles(directory=_STATIC))],
        middleware=layers,
    )
    app.state.studio = studio
    return app


__all__ = ["build_app"]
