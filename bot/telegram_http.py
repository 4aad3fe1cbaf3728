"""How the library reaches the Bot API: its own interface for requests, over aiohttp.

Its default, httpx, took 60 % of all the time in which the bot held the interpreter. aiohttp parses
in C and does the same for a fraction of that (`python -m tests.faults.load`).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

from data.errors import SettingsError

IDLE_SECONDS = 30.0
"""An idle connection is kept so long: a person who reads for a while need not wait for a new one."""
POOL_SECONDS = 5.0
WRITE_SECONDS = 20.0
_FORM = {
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": BaseRequest.USER_AGENT,
}
_AGENT = {"User-Agent": BaseRequest.USER_AGENT}

NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Causes of a NetworkError that say that nothing reached the server."""


class BotApiRequest(BaseRequest):
    """Requests to one Bot API server, in parallel up to a number of connections.

    Args:
        api_root: Where the server is; it tells whether the environment's proxy is to be used.
        connections: How many at most.
        read_seconds: How long to wait for an answer.
        connect_seconds: How long to wait for a connection to be made.

    Raises:
        SettingsError: The environment names a proxy of a kind that is not supported.
    """

    def __init__(
        self,
        api_root: str,
        *,
        connections: int = 8,
        read_seconds: float = 20.0,
        connect_seconds: float = 10.0,
    ) -> None:
        self._connections = connections
        self._read_seconds = read_seconds
        self._connect_seconds = connect_seconds
        self._session: aiohttp.ClientSession | None = None
        self._proxy = proxy_for(api_root)

    @property
    def read_timeout(self) -> float | None:
        return self._read_seconds

    async def initialize(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._connections,
                    keepalive_timeout=IDLE_SECONDS,
                    # The library's certificates: some machines have none of their own.
                    ssl=httpx.create_ssl_context(),
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
            )

    async def shutdown(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("the request is used before initialize() or after shutdown()")
        read = _seconds(read_timeout, self._read_seconds)
        connect = _seconds(connect_timeout, self._connect_seconds)
        write = _seconds(write_timeout, WRITE_SECONDS)
        pool = _seconds(pool_timeout, POOL_SECONDS)
        body, headers = _body(request_data)
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(
                    connect=pool + connect,
                    sock_connect=connect,
                    sock_read=read,
                    # aiohttp limits no write; an upload that hangs ends with this.
                    total=pool + connect + write + read,
                ),
            ) as response:
                return response.status, await response.read()
        except TimeoutError as error:
            raise TimedOut(type(error).__name__) from error
        except aiohttp.ClientError as error:
            raise NetworkError(f"{type(error).__name__}: {error}") from error


def proxy_for(api_root: str) -> str | None:
    """Give the proxy that the environment names for a server, None for none and for this machine.

    It is read from `HTTPS_PROXY` (or `HTTP_PROXY`), else `ALL_PROXY`; `NO_PROXY` excepts hosts.

    Raises:
        SettingsError: The proxy speaks something else than HTTP.
    """
    parts = urlsplit(api_root)
    host = parts.hostname or ""
    if host in ("127.0.0.1", "localhost", "::1") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is not None and urlsplit(proxy).scheme not in ("http", "https"):
        raise SettingsError(
            f"the proxy for {parts.scheme} is {urlsplit(proxy).scheme}://, and only http:// is "
            "supported; set HTTPS_PROXY to the HTTP port of the proxy (most SOCKS programs have one)"
        )
    return proxy


def _body(data: RequestData | None) -> tuple[Any, dict[str, str]]:
    if data is None:
        return None, _AGENT
    if not data.contains_files:
        return urlencode(data.json_parameters).encode(), _FORM
    form = aiohttp.FormData()
    for name, value in data.json_parameters.items():
        form.add_field(name, value)
    for name, (file_name, content, media_type) in (data.multipart_data or {}).items():
        form.add_field(name, content, filename=file_name, content_type=media_type)
    return form, _AGENT


def _seconds(given: object, default: float) -> float:
    return float(given) if isinstance(given, int | float) else default
