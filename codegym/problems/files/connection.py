"""Is there a way to an address at all? One attempt, in bounded time.

A machine without a network fails in several ways: the name is not resolved (which may hang), no
route, a refused connection, or silence. All of them end here within the given time. What a server
answers is no matter of this module.
"""

from __future__ import annotations

import importlib
import queue
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

__all__ = ["check_connection"]

_SOCKS = dict.fromkeys(("socks4", "socks4a", "socks5", "socks5h"), 1080)
_PORTS = {"http": 80, "https": 443, **_SOCKS}
_Answers = queue.SimpleQueue[OSError | None]


def check_connection(url: str, seconds: float) -> None:
    """Connects to the host of an address, or to the proxy that leads there, and hangs up.

    All addresses of the host are tried at the same time, so that a broken IPv6 costs nothing.

    Args:
        url: The address; it and its proxy are read as the package ``requests`` reads them, or
            as the standard library does where that is not installed.
        seconds: When to give up, the time to resolve the name included.

    Raises:
        ConnectionError: If there is no connection within that time.
        OSError: If the address or the proxy is malformed: that says nothing about the network.
    """
    host, port = _first_hop(url)
    answers: _Answers = queue.SimpleQueue()
    # A resolver that hangs cannot be stopped: it is left behind in a thread that ends by itself.
    threading.Thread(
        target=_resolve_and_connect, args=(host, port, seconds, answers), daemon=True
    ).start()
    try:
        error = answers.get(timeout=seconds)
    except queue.Empty:
        error = TimeoutError(f"no answer within {seconds:g} s")
    if error is not None:
        raise ConnectionError(
            f"no connection to {host}:{port}, {type(error).__name__}: {error}"
        ) from error


def _first_hop(url: str) -> tuple[str, int]:
    proxy, parse = _reading(url)
    hop = (proxy if "://" in proxy else f"http://{proxy}") if proxy else url
    try:
        parts = parse(hop)
        host = (parts.hostname or "").strip("[]")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        host.encode("idna")  # what asking for the name begins with
        if parts.scheme in _PORTS and host and host not in _PORTS and port:  # "http:/host" is none
            return host, port
    except (ValueError, LookupError):
        pass
    if not proxy:
        raise OSError(f"the address {url!r} is malformed")
    raise OSError(
        f"the proxy {proxy.rpartition('@')[2]!r} is malformed: expected 'http://host:port' in the "
        "environment variable http_proxy, https_proxy or all_proxy; correct it or unset it"
    )


def _reading(url: str) -> tuple[str | None, Any]:
    """The proxy that leads to an address, and what takes an address apart."""
    try:
        utils = importlib.import_module("requests.utils")
        parse = importlib.import_module("urllib3.util").parse_url
    except ImportError:  # they come with the packages for downloads
        return _proxy_of_environment(url), urlsplit
    return utils.select_proxy(url, utils.get_environ_proxies(url)), parse


def _proxy_of_environment(url: str) -> str | None:
    import urllib.request  # of no use to most, and slow to load

    scheme, _, rest = url.partition("://")
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(rest.partition("/")[0]):
        return None
    return proxies.get(scheme) or proxies.get("all")


def _resolve_and_connect(host: str, port: int, seconds: float, answers: _Answers) -> None:
    """Puts None into `answers` at the first connection, or one error when all have failed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        answers.put(OSError(f"the name is not resolved: {error}"))
        return
    errors: list[OSError] = []
    addresses = list(dict.fromkeys(address for *_, address in found))
    tries = [
        threading.Thread(target=_connect, args=(address[:2], seconds, answers, errors), daemon=True)
        for address in addresses
    ]
    for one in tries:
        one.start()
    for one in tries:
        one.join()
    if len(errors) == len(tries):
        answers.put(errors[0] if errors else OSError("the name has no address"))


def _connect(
    address: tuple[str, int], seconds: float, answers: _Answers, errors: list[OSError]
) -> None:
    try:
        socket.create_connection(address, timeout=seconds).close()
    except OSError as error:
        errors.append(error)
    else:
        answers.put(None)
