"""The HTTP client of the dispatcher: libcurl's multi interface, driven by the event loop.

libcurl says which address it is about to connect to before it does (the open-socket hook), so the address that is
checked is the address that is connected to: there is no second look-up that a rebinding name could answer otherwise.
"""

import asyncio
import selectors
import ssl
import time
from collections.abc import Sequence
from socket import socket
from typing import Any

import certifi
import pycurl

from services.webhooks.deliveries.model import Answer, NoAnswer, Result
from services.webhooks.endpoints.addresses import why_not_public

EXCERPT_BYTES = 1024
BODY_CAP_BYTES = 64 * 1024
CONNECT_TIMEOUT_SECONDS = 10.0
IDLE_CONNECTIONS = 1024

CAUSES = {
    pycurl.E_COULDNT_RESOLVE_HOST: "the name does not resolve",
    pycurl.E_COULDNT_CONNECT: "could not connect",
    pycurl.E_OPERATION_TIMEDOUT: "timed out",
    pycurl.E_GOT_NOTHING: "the connection was closed without an answer",
    pycurl.E_RECV_ERROR: "the connection broke while receiving",
    pycurl.E_SEND_ERROR: "the connection broke while sending",
    pycurl.E_PARTIAL_FILE: "the connection was closed in the middle of the answer",
    pycurl.E_SSL_CONNECT_ERROR: "TLS error",
    pycurl.E_PEER_FAILED_VERIFICATION: "the TLS certificate is not valid",
    pycurl.E_UNSUPPORTED_PROTOCOL: "the protocol is not allowed, or the answer is not HTTP",
    pycurl.E_FTP_WEIRD_SERVER_REPLY: "the answer is not HTTP",  # libcurl's name for the same number: WEIRD_SERVER_REPLY
}


class _Socket(socket):
    """libcurl gets a duplicate; this one closes with its last reference."""

    def __del__(self) -> None:
        self.close()


class _Exchange:
    """A reusable libcurl handle and what one exchange over it has collected."""

    def __init__(self, *, allow_insecure: bool, ca_file: str, resolve: Sequence[str]) -> None:
        self.curl = _handle(ca_file, resolve, pycurl.PROTO_HTTPS | (pycurl.PROTO_HTTP if allow_insecure else 0))
        self.curl.setopt(pycurl.WRITEFUNCTION, self._write)
        if not allow_insecure:
            self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.future: asyncio.Future[Result]
        self.started = 0.0
        self.refused: str | None = None
        self.received = 0
        self.excerpt = b""

    def begin(self, url: str, headers: list[str], body: bytes, timeout_ms: int, future: asyncio.Future[Result]) -> None:
        self.future = future
        self.refused, self.received, self.excerpt = None, 0, b""
        self.started = time.perf_counter()
        setopt = self.curl.setopt
        setopt(pycurl.URL, url)
        setopt(pycurl.HTTPHEADER, headers)
        setopt(pycurl.POSTFIELDS, body)
        setopt(pycurl.TIMEOUT_MS, timeout_ms)

    def _write(self, chunk: bytes) -> int:
        if self.received < EXCERPT_BYTES:
            self.excerpt = (self.excerpt + chunk)[:EXCERPT_BYTES]
        self.received += len(chunk)
        return len(chunk) if self.received <= BODY_CAP_BYTES else 0  # 0 ends the exchange with E_WRITE_ERROR

    def _open_socket(self, _purpose: int, address: Any) -> "_Socket | int":
        """Refuse to connect where nothing may be sent; libcurl then tries the name's next address."""
        ip = address.addr[0].decode() if isinstance(address.addr[0], bytes) else str(address.addr[0])
        if reason := why_not_public(ip.partition("%")[0]):
            self.refused = f"refused to connect to {ip}: {reason}"
            return int(pycurl.SOCKET_BAD)
        return _Socket(address.family, address.socktype, address.protocol)

    def answer(self) -> Answer:
        getinfo = self.curl.getinfo
        status: int = getinfo(pycurl.RESPONSE_CODE)
        after: int = getinfo(pycurl.RETRY_AFTER) if status in {429, 503} else 0
        return Answer(status, self.excerpt, after, self._duration_ms())

    def failure(self, errno: int, message: str) -> Result:
        if errno == pycurl.E_WRITE_ERROR and self.received > BODY_CAP_BYTES:
            return self.answer()
        cause = CAUSES.get(errno, "failed")
        return NoAnswer(self.refused or (f"{cause} ({message})" if message else cause), self._duration_ms())

    def _duration_ms(self) -> int:
        return round((time.perf_counter() - self.started) * 1000)


def _handle(ca_file: str, resolve: Sequence[str], protocols: int) -> pycurl.Curl:
    """A handle with everything that is the same for all requests."""
    curl = pycurl.Curl()
    curl.setopt(pycurl.POST, 1)
    curl.setopt(pycurl.PROTOCOLS, protocols)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.PROXY, "")  # "" also switches off the proxies of the environment
    curl.setopt(pycurl.NOPROXY, "*")
    curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, round(CONNECT_TIMEOUT_SECONDS * 1000))
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.CAINFO, ca_file)
    if resolve:
        curl.setopt(pycurl.RESOLVE, list(resolve))
    return curl


class Client:
    """POSTs over long-lived connections, any number at once, on the running event loop (asyncio's own or uvloop).

    libcurl's sockets are watched by a selector of our own, and the selector by the loop: so the loop is woken once for
    all sockets that are ready. A socket that libcurl lets rest stays registered, for it will soon be used again.
    `resolve` pins names to addresses (`name:port:address`), as `curl --resolve` does.
    """

    def __init__(
        self, *, allow_insecure: bool = False, ca_file: str | None = None, resolve: Sequence[str] = ()
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._allow_insecure = allow_insecure
        self._ca_file = ca_file or ssl.get_default_verify_paths().cafile or certifi.where()
        self._resolve = resolve
        self._idle: list[_Exchange] = []
        self._busy: dict[pycurl.Curl, _Exchange] = {}
        self._selector = selectors.DefaultSelector()
        self._watched: dict[int, int] = {}
        self._resting: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, IDLE_CONNECTIONS)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._loop.add_reader(self._selector.fileno(), self._on_sockets)

    def post(self, url: str, headers: list[str], body: bytes, *, timeout_seconds: float) -> asyncio.Future[Result]:
        """Send; the one deadline covers look-up, connect, send and the answer's body."""
        future: asyncio.Future[Result] = self._loop.create_future()
        exchange = self._idle.pop() if self._idle else self._new_exchange()
        exchange.begin(url, headers, body, max(1, round(timeout_seconds * 1000)), future)
        self._busy[exchange.curl] = exchange
        self._multi.add_handle(exchange.curl)
        return future

    def _new_exchange(self) -> _Exchange:
        exchange = _Exchange(allow_insecure=self._allow_insecure, ca_file=self._ca_file, resolve=self._resolve)
        exchange.curl.setopt(pycurl.SOCKOPTFUNCTION, self._on_new_socket)
        return exchange

    def close(self) -> None:
        """Break off what is in flight and close all connections."""
        for exchange in list(self._busy.values()):
            self._multi.remove_handle(exchange.curl)
            exchange.future.cancel()
        self._busy.clear()
        if self._timer:
            self._timer.cancel()
        self._loop.remove_reader(self._selector.fileno())
        self._selector.close()
        self._watched.clear()
        self._multi.close()
        for exchange in self._idle:
            exchange.curl.close()

    # libcurl → event loop: which sockets to watch, when to call back

    def _watch(self, what: int, fd: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            self._resting.add(fd)
            return
        self._resting.discard(fd)
        if self._watched.get(fd) != what:
            self._forget(fd)
            self._watched[fd] = what
            self._selector.register(fd, _EVENTS[what])

    def _on_new_socket(self, fd: int, _purpose: int) -> int:
        """A socket with the number of one that libcurl has closed is not watched, whatever we remember."""
        self._forget(fd)
        return int(pycurl.SOCKOPT_OK)

    def _forget(self, fd: int) -> None:
        if self._watched.pop(fd, 0):
            self._selector.unregister(fd)
        self._resting.discard(fd)

    def _set_timer(self, milliseconds: int) -> None:
        """Call back no later than this; a call that comes too early does no harm, so a later wish changes nothing."""
        if milliseconds < 0:
            return
        at = self._loop.time() + milliseconds / 1000
        if self._timer:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = self._loop.call_at(at, self._on_timer), at

    # event loop → libcurl: something happened, collect what is finished

    def _on_timer(self) -> None:
        self._timer = None
        self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._collect()

    def _on_sockets(self) -> None:
        for key, events in self._selector.select(0):
            if key.fd in self._resting:  # the other side has closed it; libcurl notices when it wants to use it
                self._forget(key.fd)
            else:
                self._multi.socket_action(key.fd, _BITS[events])
        self._collect()

    def _collect(self) -> None:
        more = 1
        while more:
            more, finished, failed = self._multi.info_read()
            for curl in finished:
                exchange = self._release(curl)
                self._settle(exchange, exchange.answer())
            for curl, errno, message in failed:
                exchange = self._release(curl)
                self._settle(exchange, exchange.failure(errno, message))

    def _release(self, curl: pycurl.Curl) -> _Exchange:
        self._multi.remove_handle(curl)
        exchange = self._busy.pop(curl)
        self._idle.append(exchange)
        return exchange

    def _settle(self, exchange: _Exchange, result: Result) -> None:
        if not exchange.future.done():
            exchange.future.set_result(result)


_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_EVENTS = {pycurl.POLL_IN: _READ, pycurl.POLL_OUT: _WRITE, pycurl.POLL_INOUT: _READ | _WRITE}
_BITS = {
    _READ: pycurl.CSELECT_IN,
    _WRITE: pycurl.CSELECT_OUT,
    _READ | _WRITE: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}
