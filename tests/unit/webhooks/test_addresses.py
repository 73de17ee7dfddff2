"""Where a webhook may connect, however it is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.endpoints import addresses
from services.webhooks.endpoints.addresses import check, parse, why_not_public
from services.webhooks.endpoints.errors import UrlRefused

REFUSED = [
    # loopback, plainly and in disguise
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.255.255.254/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://127.0.0.1./",
    "https://127.0.0.01/",
    "https://0x/",
    "https://１２７.０.０.１/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::127.0.0.1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://app.localhost/",
    "https://localhost.localdomain/",
    "https://ⓛocalhost/",
    # private, shared, link-local, metadata
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://3232235777/",
    "https://100.64.0.1/",
    "https://100.100.100.200/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://0251.0376.0251.0376/",
    "https://169.254.43518/",
    "https://[::ffff:169.254.169.254]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fe80::1%eth0]/",
    "https://[fc00::1]/",
    "https://[fec0::1]/",
    "https://168.63.129.16/",
    "https://192.0.0.192/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://metadata/",
    "https://printer.local/",
    "https://invoices.default.svc/",
    "https://invoices.default.svc.cluster.local/",
    "https://router.home.arpa/",
    # unspecified, multicast, reserved, documentation, benchmark
    "https://0.0.0.0/",
    "https://0/",
    "https://[::]/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://[ff02::1]/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://192.0.2.1/",
    "https://198.51.100.7/",
    "https://203.0.113.9/",
    "https://198.18.0.1/",
    "https://192.88.99.1/",
    "https://[2001:db8::1]/",
    "https://[3fff::1]/",
    "https://[100::1]/",
    "https://[5f00::1]/",
    # tunnels and translations
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::169.254.169.254]/",
    "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2001:0:7f00:1::1]/",
    "https://[2001::1]/",
    "https://[2001:2::1]/",
    # the rest of the URL
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "//example.com/",
    "example.com",
    "https://",
    "https:///path",
    "https://user@example.com/",
    "https://user:pass@example.com/",
    "https://example.com@127.0.0.1/",
    "https://127.0.0.1@example.com/",
    "https://example.com%00.evil.example/",
    "https://example.com%2f@127.0.0.1/",
    "https://%31%32%37.0.0.1/",
    "https://example.com\\@127.0.0.1/",
    "https://exa mple.com/",
    "https://example.com/\n",
    "https://exam\tple.com/",
    "https://example.com:0/",
    "https://example.com:65536/",
    "https://example.com:abc/",
    "https://example.com/#fragment",
    "https://[::1/",
    "https://[127.0.0.1]/",
    "https://[v1.fe80]/",
    "https://-bad-.example.com/",
    "https://exa..mple.com/",
    "https://.example.com/",
    "https://" + "a" * 64 + ".example.com/",
    "https://" + "a." * 130 + "com/",
    "https://example.com/" + "a" * 2048,
    "https://256.256.256.256/",
    "https://1.2.3.4.5/",
    "https://example.123/",
    "https://8.8.8.08/",
    "https://134744072/",
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_leads_inside_or_is_not_plain_is_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        parse(url, allow_insecure=False)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.com", "https://example.com/"),
        ("https://Example.COM./hook", "https://example.com/hook"),
        ("https://example.com:8443/hook?a=b", "https://example.com:8443/hook?a=b"),
        ("https://bücher.example/häk", "https://xn--bcher-kva.example/h%C3%A4k"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700:4700::1111]/x", "https://[2606:4700:4700::1111]/x"),
        ("https://[::ffff:8.8.8.8]/", "https://[::ffff:8.8.8.8]/"),
        ("https://[64:ff9b::808:808]/", "https://[64:ff9b::808:808]/"),
        ("https://hooks.my_app.example.com/", "https://hooks.my_app.example.com/"),
    ],
)
def test_a_public_url_is_accepted_and_written_plainly(url: str, normal: str) -> None:
    assert parse(url, allow_insecure=False).url == normal


@pytest.mark.parametrize(
    "url", ["http://localhost:3000/hook", "http://127.0.0.1:1/", "http://[::1]:5/", "https://10.0.0.1/"]
)
def test_the_development_switch_allows_http_and_any_address(url: str) -> None:
    assert parse(url, allow_insecure=True).url == url


@pytest.mark.parametrize("url", ["ftp://localhost/", "http://user@localhost/", "http://0x7f.1/", "http:///"])
def test_the_development_switch_does_not_allow_what_is_no_plain_web_address(url: str) -> None:
    with pytest.raises(UrlRefused):
        parse(url, allow_insecure=True)


@given(st.ip_addresses())
def test_no_address_that_python_calls_not_global_is_public_to_us(ip: addresses.Address) -> None:
    if not ip.is_global or ip.is_multicast:
        embedded = isinstance(ip, ipaddress.IPv6Address) and (ip in addresses.NAT64 or ip.ipv4_mapped is not None)
        assert embedded or why_not_public(str(ip)) is not None


@given(st.ip_addresses(v=4))
def test_a_mapped_or_translated_address_is_judged_like_the_ipv4_address_inside(ip: ipaddress.IPv4Address) -> None:
    plain = why_not_public(str(ip))
    assert why_not_public(f"::ffff:{ip}") == plain
    assert why_not_public(str(ipaddress.IPv6Address(int(addresses.NAT64.network_address) + int(ip)))) == plain


async def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.7"]

    with pytest.raises(UrlRefused, match=r"10\.0\.0\.7"):
        await check("https://example.com/", allow_insecure=False, resolve=resolve)


async def test_a_name_that_leads_to_a_zoned_link_local_address_is_refused() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["fe80::1%eth0"]

    with pytest.raises(UrlRefused):
        await check("https://example.com/", allow_insecure=False, resolve=resolve)


async def test_a_name_that_does_not_resolve_yet_is_accepted() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    assert (await check("https://soon.example.com/", allow_insecure=False, resolve=resolve)).host == "soon.example.com"


async def test_a_name_with_public_addresses_is_accepted() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("example.com", 444)
        return ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"]

    assert (await check("https://example.com:444/", allow_insecure=False, resolve=resolve)).port == 444
