"""Requests to the Bot API: real sockets, and what each failure lets the sender do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from telegram import InputFile
from telegram.error import NetworkError, TelegramError
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter

from bot.send_errors import NotSentError, UnclearError
from bot.telegram_http import BotApiRequest, proxy_for
from bot.telegram_sending import send_error
from data.errors import SettingsError

LOCAL = "http://127.0.0.1"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/sendMessage"
    finally:
        await runner.cleanup()


def data(*extra: RequestParameter, **params: str) -> RequestData:
    return RequestData([*(RequestParameter(n, v, None) for n, v in params.items()), *extra])


async def failure(request: BotApiRequest, url: str) -> TelegramError:
    with pytest.raises(TelegramError) as caught:
        await request.post(url, data(text="hello"))
    return caught.value


async def test_parameters_arrive_as_they_were_whatever_their_letters() -> None:
    async def echo(request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response({"ok": True, "result": dict(form)})

    sent = {"text": "知味 & <b>50 %</b>\n+=?", "reply_markup": '{"inline_keyboard": []}'}
    async with server(echo) as url, BotApiRequest(LOCAL) as request:
        assert await request.post(url, data(**sent)) == sent


async def test_a_picture_arrives_with_its_name_and_type_beside_the_parameters() -> None:
    async def read(request: web.Request) -> web.Response:
        form = await request.post()
        photo = form["photo"]
        assert isinstance(photo, web.FileField)
        result = [form["caption"], photo.filename, photo.content_type, len(photo.file.read())]
        return web.json_response({"ok": True, "result": result})

    file = InputFile(b"\x89PNG" * 1000, filename="picture.png")
    async with server(read) as url, BotApiRequest(LOCAL) as request:
        answer = await request.post(
            url, data(RequestParameter("photo", None, [file]), caption="三样")
        )

    assert answer == ["三样", "picture.png", "image/png", 4000]


async def test_a_server_that_refuses_the_connection_got_nothing() -> None:
    async with BotApiRequest(LOCAL) as request:
        error = await failure(request, "http://127.0.0.1:1/sendMessage")

    assert isinstance(send_error(error), NotSentError)


async def test_a_request_that_found_no_free_connection_was_not_sent() -> None:
    n_arrived = 0

    async def wait(request: web.Request) -> web.Response:
        nonlocal n_arrived
        n_arrived += 1
        await asyncio.sleep(5)
        return web.json_response({"ok": True, "result": True})

    async with server(wait) as url, BotApiRequest(LOCAL, connections=1) as request:
        first = asyncio.create_task(request.post(url, data(text="first")))
        while not n_arrived:
            await asyncio.sleep(0.01)
        with pytest.raises(NetworkError) as caught:
            await request.post(url, data(text="second"), pool_timeout=0.1, connect_timeout=0.1)
        first.cancel()

    assert isinstance(send_error(caught.value), NotSentError)
    assert n_arrived == 1


async def test_an_answer_that_does_not_come_in_time_leaves_it_open_whether_it_arrived() -> None:
    async def wait(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.json_response({"ok": True, "result": True})

    async with server(wait) as url, BotApiRequest(LOCAL, read_seconds=0.1) as request:
        error = await failure(request, url)

    assert isinstance(send_error(error), UnclearError)


@pytest.mark.parametrize("is_answer_begun", [False, True])
async def test_a_connection_that_breaks_leaves_it_open_whether_it_arrived(
    is_answer_begun: bool,
) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if is_answer_begun:
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b'{"ok": tr')
        request.transport.close()
        return web.Response()

    async with server(drop) as url, BotApiRequest(LOCAL) as request:
        error = await failure(request, url)

    assert isinstance(send_error(error), UnclearError)


async def test_a_server_that_answers_no_http_leaves_it_open_whether_it_arrived() -> None:
    async def nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x00\x01 this is no HTTP\r\n\r\n")
        await writer.drain()
        writer.close()

    noise = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    port = noise.sockets[0].getsockname()[1]
    async with noise, BotApiRequest(LOCAL) as request:
        error = await failure(request, f"http://127.0.0.1:{port}/sendMessage")

    assert isinstance(send_error(error), UnclearError)


async def test_errors_of_the_network_never_tell_the_token() -> None:
    async with BotApiRequest(LOCAL) as request:
        error = await failure(request, "http://127.0.0.1:1/bot123:SECRET/sendMessage")

    assert "SECRET" not in f"{error} {error.__cause__}"


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxies")
def test_the_proxy_of_the_environment_is_used_but_never_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telegram = "https://api.telegram.org"
    assert proxy_for(telegram) is None

    monkeypatch.setenv("ALL_PROXY", "http://proxy.example:3128")
    assert proxy_for(telegram) == "http://proxy.example:3128"
    assert proxy_for("http://127.0.0.1:8081") is None

    monkeypatch.setenv("HTTPS_PROXY", "http://other.example:3128")
    assert proxy_for(telegram) == "http://other.example:3128"

    monkeypatch.setenv("NO_PROXY", "telegram.org")
    assert proxy_for(telegram) is None


@pytest.mark.usefixtures("no_proxies")
def test_a_proxy_of_another_kind_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://user:pass@127.0.0.1:1080")

    with pytest.raises(SettingsError, match=r"socks5.*set HTTPS_PROXY") as caught:
        BotApiRequest("https://api.telegram.org")
    assert "pass" not in str(caught.value)


@pytest.mark.usefixtures("no_proxies")
async def test_requests_go_through_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def pass_on(request: web.Request) -> web.Response:
        asked.append(str(request.raw_path))
        return web.json_response({"ok": True, "result": True})

    async with server(pass_on) as url:
        monkeypatch.setenv("HTTP_PROXY", url.removesuffix("/sendMessage"))
        async with BotApiRequest("http://api.telegram.invalid") as request:
            await request.post("http://api.telegram.invalid/sendMessage", data(text="hello"))

    assert asked == ["http://api.telegram.invalid/sendMessage"]
