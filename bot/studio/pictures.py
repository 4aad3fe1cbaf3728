"""Cards of items as pictures of the pages."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from bot.cards import WIDTH, item_card
from bot.picturing import card_of
from bot.studio.visit import Visit
from data.catalogue import ItemId

_SMALL = 240


async def card(visit: Visit) -> Response:
    item_id = ItemId(str(visit.request.path_params["item_id"]))
    item = visit.engine.catalogue.items_by_id.get(item_id)
    if item is None:
        return visit.refusal("refused.gone", status=404)
    width = _SMALL if visit.asked("size") == "small" else WIDTH
    content = await run_in_threadpool(item_card, card_of(item, visit.language), width=width)
    return Response(
        content, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"}
    )
