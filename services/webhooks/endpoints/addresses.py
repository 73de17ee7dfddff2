"""Where a webhook may connect: only https, only public addresses, however they are written.

The address ranges are those of the IANA special-purpose registries (RFC 6890 and its updates). A URL is judged when an
endpoint is registered, and every address once more when a connection is opened (`client.py`), because names may
change what they point to.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import SplitResult, urlsplit, urlunsplit

import idna
import msgspec

from services.webhooks.endpoints.errors import UrlRefused

MAX_URL_CHARACTERS = 2048
RESOLVE_TIMEOUT_SECONDS = 3.0

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

NOT_PUBLIC = tuple(
    (ipaddress.ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared with a carrier"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's metadata service"),  # Azure's, the only one outside the ranges above
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("2001::/23", "reserved"),  # Teredo, benchmarks, ORCHID and other protocol assignments
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "for documentation"),
    )
)
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

PRIVATE_SUFFIXES = ("localhost", "localdomain", "local", "internal", "home.arpa", "lan", "svc", "onion")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\s]")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that may be an endpoint: written plainly, its host in ASCII."""

    url: str
    host: str
    port: int
    is_literal: bool


def why_not_public(address: str) -> str | None:
    """Why nothing may be sent to this IP address, or None when it is public."""
    ip = _embedded(ipaddress.ip_address(address))
    if isinstance(ip, ipaddress.IPv6Address) and ip not in GLOBAL_UNICAST:
        return "not a public address"
    return next((f"not a public address ({what})" for network, what in NOT_PUBLIC if ip in network), None)


def _embedded(ip: Address) -> Address:
    """The IPv4 address that an IPv6 form of it leads to; other addresses as they are."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ipaddress.IPv4Address(ip.packed[-4:]) if ip in NAT64 else ip


def parse(url: str, *, allow_insecure: bool) -> Target:
    """Judge a URL as it is written; names are not looked up here."""
    parts = _split(url)
    _check_form(parts, allow_insecure=allow_insecure)
    host = _host(parts)
    literal = _literal(host)
    if literal is None:
        _check_name(host, allow_insecure=allow_insecure)
    elif not allow_insecure and (reason := why_not_public(literal)):
        raise _refused(f"its host is {reason}")
    port = _port(parts)
    return Target(url=_rebuilt(parts, host), host=literal or host, port=port, is_literal=literal is not None)


def _refused(reason: str) -> UrlRefused:
    return UrlRefused(reason=reason, field="url")


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS:
        raise _refused(f"it is longer than {MAX_URL_CHARACTERS} characters")
    if _FORBIDDEN.search(url):  # before urlsplit, which silently drops some of them
        raise _refused("it contains spaces, control characters or backslashes")
    try:
        return urlsplit(url)
    except ValueError:
        raise _refused("it is not a URL") from None


def _check_form(parts: SplitResult, *, allow_insecure: bool) -> None:
    if parts.scheme not in (("https", "http") if allow_insecure else ("https",)):
        raise _refused("it must begin with https://")
    if not parts.netloc:
        raise _refused("it has no host")
    if "@" in parts.netloc:
        raise _refused("it must not contain a user name or password")
    if parts.fragment:
        raise _refused("it must not contain a fragment (#…)")


def _host(parts: SplitResult) -> str:
    """The host in lower-case ASCII without the root's dot; an IPv6 literal keeps its brackets."""
    host = parts.netloc.rpartition(":")[0] if re.search(r":[0-9]*$", parts.netloc) else parts.netloc
    if "%" in host:
        raise _refused("its host must not be percent-encoded or carry a zone")
    if host.startswith("["):
        return host.lower()
    return _ascii(host).removesuffix(".")


def _ascii(host: str) -> str:
    if host.isascii():
        return host.lower()
    try:
        return idna.encode(host, uts46=True, std3_rules=True, transitional=False).decode("ascii").lower()
    except idna.IDNAError:
        raise _refused("its host is not a valid name") from None


def _literal(host: str) -> str | None:
    """The IP address that the host is, None when it is a name; odd ways to write an address are refused."""
    try:
        if host.startswith("[") and host.endswith("]"):
            return str(ipaddress.IPv6Address(host[1:-1]))
        if _NUMBER.fullmatch(host.rpartition(".")[2]):  # as browsers and inet_aton see it: ends in a number
            return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise _refused("its host is not a plainly written IP address") from None
    return None


def _check_name(host: str, *, allow_insecure: bool) -> None:
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused("its host is not a valid name")
    if allow_insecure:
        return
    if len(labels) == 1 or any(host.endswith(f".{suffix}") for suffix in PRIVATE_SUFFIXES):
        raise _refused("its host is a name of a private network")


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise _refused("its port is not between 1 and 65535")
    return port or (443 if parts.scheme == "https" else 80)


def _rebuilt(parts: SplitResult, host: str) -> str:
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, host + port, _quoted(parts.path) or "/", _quoted(parts.query), ""))


def _quoted(text: str) -> str:
    """Non-ASCII characters percent-encoded; what is encoded already stays."""
    return "".join(c if c.isascii() else "".join(f"%{byte:02X}" for byte in c.encode()) for c in text)


async def look_up(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, by the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


async def check(url: str, *, allow_insecure: bool, resolve: Resolve = look_up) -> Target:
    """Judge a URL and every address that its name has now. A name without one is accepted: it may come."""
    target = parse(url, allow_insecure=allow_insecure)
    if target.is_literal or allow_insecure:
        return target
    for address in await _addresses(target, resolve):
        if reason := why_not_public(address.partition("%")[0]):
            raise _refused(f"its host leads to {address}, {reason}")
    return target


async def _addresses(target: Target, resolve: Resolve) -> Sequence[str]:
    try:
        return await asyncio.wait_for(resolve(target.host, target.port), RESOLVE_TIMEOUT_SECONDS)
    except (OSError, TimeoutError, UnicodeError):
        return ()
