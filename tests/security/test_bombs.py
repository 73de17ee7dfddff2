"""Small files and bodies that would become large ones, or other files, if anything here unpacked or resolved them."""

import gzip
import io
import resource
import typing
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.payments.imports.formats.rows import MAX_TEXT_CHARACTERS
from shared.http.routes import Route
from tests.harness import Client
from tests.integration.invoices.scenes import a_customer, an_invoice
from tests.integration.payments.bank import SAMPLES, finished, payments_of, send, send_raw
from tests.security import surface
from tests.security.surface import SCOPED

MEBIBYTE = 1024 * 1024
ENTITIES = {
    "billion laughs": "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9)),
    "one long one, often": f'<!ENTITY l9 "{"x" * 100_000}">',
    "a file": '<!ENTITY l9 SYSTEM "file:///etc/passwd">',
    "another server": '<!ENTITY l9 SYSTEM "http://127.0.0.1:9/evil">',
    "parameter": '<!ENTITY % p SYSTEM "file:///etc/passwd"> %p; <!ENTITY l9 "x">',
}
WITH_BODIES = [route for route in SCOPED if route.body is not None or route.raw_body]


def packed(kind: str, size: int) -> Iterator[bytes]:
    """Nothing, very often, packed as a body may be."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if kind == "gzip" else 15)
    for _ in range(size // MEBIBYTE):
        yield packer.compress(bytes(MEBIBYTE))
    yield packer.flush()


def peak_mebibytes() -> int:
    """The most memory that this process, which the services run in, ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@pytest.mark.parametrize("route", WITH_BODIES, ids=surface.name)
async def test_a_body_that_unpacks_to_more_than_a_route_takes_is_refused(route: Route, client: Client) -> None:
    body = b"".join(packed("gzip", route.max_bytes + 2 * MEBIBYTE))
    ids = {name: str(client.tenant_id) for name in surface.path_names(route)}
    before = peak_mebibytes()

    answer = await client.request(
        route.method, surface.address(route, ids), data=body, headers={"Content-Encoding": "gzip"}
    )

    assert answer.status == 413, answer
    assert peak_mebibytes() - before < 100


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
async def test_a_bank_file_that_unpacks_to_a_gibibyte_is_refused_at_its_bound(client: Client, kind: str) -> None:
    body = b"".join(packed(kind, 300 * MEBIBYTE))
    before = peak_mebibytes()
    assert len(body) < MEBIBYTE

    answer = await client.post("/v1/payments/import", data=body, headers={"Content-Encoding": kind})

    assert answer.status == 413, answer
    assert peak_mebibytes() - before < 100


@pytest.mark.parametrize("kind", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("path", ["/v1/customers", "/v1/payments/import", "/v1/payments/bulk"])
async def test_a_body_that_is_not_packed_as_it_says_is_refused(client: Client, kind: str, path: str) -> None:
    answer = await client.post(path, data=b"x" * 100, headers={"Content-Encoding": kind})

    assert 400 <= answer.status < 500, answer


def a_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bank.csv", bytes(MEBIBYTE))
    return file.getvalue()


@pytest.mark.parametrize("content", [a_zip(), gzip.compress(bytes(MEBIBYTE))], ids=["zip", "gzip"])
async def test_an_archive_is_not_opened(client: Client, content: bytes) -> None:
    for answer in (await send(client, content), await send_raw(client, content)):
        assert (answer.status, answer.code) == (422, "file_unreadable"), answer


@pytest.mark.parametrize("name", ["camt053_v02.xml", "v2.ofx"])
@pytest.mark.parametrize("bomb", ENTITIES.values(), ids=ENTITIES)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_what_an_xml_file_declares_is_never_put_in_its_place(
    client: Client, name: str, bomb: str, encoding: str
) -> None:
    text = (
        (SAMPLES / name).read_text().partition("?>")[2].replace("2026-0", "&l9;2026-0").replace("<NAME>", "<NAME>&l9;")
    )
    content = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY l0 "x">{bomb}]>{text}'.encode(encoding)
    before = peak_mebibytes()

    answer = await send(client, content, name)
    job = await finished(client, answer) if answer.status == 202 else None

    assert job is not None or answer.status == 422, answer
    assert "/root:" not in str(job)
    assert peak_mebibytes() - before < 100
    for payment in await payments_of(client):
        said = f"{payment['payer_name']} {payment['payer_reference']}"
        assert "root:" not in said
        assert "xx" not in said
        assert len(said) <= 2 * MAX_TEXT_CHARACTERS + 1


@pytest.mark.parametrize(
    "content",
    [
        b"<?xml version='1.0'?>" + b"<a>" * 200_000,
        b"<?xml version='1.0'?><Document " + b" ".join(b'a%d="x"' % n for n in range(100_000)) + b"/>",
        b"<?xml version='1.0'?><Document>" + b"<!--" + b"x" * 5 * MEBIBYTE,
        b"OFXHEADER:100\n<OFX>" + b"<STMTTRN>" * 20_000,
        b"Date,Amount\n" + b'"' * 200_000,
        b"Date,Amount\n2026-11-20," + b"-(" * 30_000,
        b"," * 60_000 + b"\n1,2\n",
        b":20:x\n:61:" + b"2611201120C" + b"1" * 200_000,
        b"01,a,b,261120,0800,1,,,2/\n" + b"16," * 200_000,
    ],
    ids=["deep", "attributes", "comment", "transactions", "quotes", "amount", "columns", "digits", "fields"],
)
async def test_a_file_that_is_all_of_one_thing_ends_as_a_failed_import_or_a_refused_row(
    client: Client, content: bytes
) -> None:
    answer = await client.post("/v1/payments/import", data=io.BytesIO(content))

    assert answer.status == 422 or (await finished(client, answer))["accepted"] == 0, answer


async def test_a_form_with_thousands_of_parts_is_refused(client: Client) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'

    answer = await client.post(
        "/v1/payments/import",
        data=part * 20_000 + b"--x--",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )

    assert answer.status == 422, answer


async def test_what_is_typeset_is_never_run(client: Client, tmp_path: Path) -> None:
    """Names that are code in the language of the typesetter: printed as they stand, by every document."""
    evil = '#read("/etc/passwd") #import "@preview/x:1.0.0" $x$ */ #panic("!") \\#eval("1")'
    customer = await a_customer(client, company_name=evil)
    lines = [{"description": evil, "long_description": evil, "quantity": 1, "unit_price": 5}]
    invoice = await an_invoice(client, customer_id=customer["id"], line_items=lines, note_to_customer=evil, memo=evil)
    await client.patch("/v1/settings/invoicing", json={"branding": {"company_name": evil, "footer": evil}})

    answer = await client.post(f"/v1/invoices/{invoice['id']}?action=generate_pdf")
    assert answer.status == 200, answer
    link = (await client.get(f"/v1/invoices/{invoice['id']}/pdf-link")).data["url"]
    statement = await client.get("/v1/reports/statement", params={"customer_id": customer["id"], "format": "pdf"})

    assert (await client.get(link.removeprefix(client.base_url))).body.startswith(b"%PDF-")
    assert statement.body.startswith(b"%PDF-")


def test_every_sheet_that_there_is_is_looked_at_for_formulas() -> None:
    """By `test_names_that_are_formulas_are_texts_in_a_spreadsheet`, which names those that show a name."""
    sheets = {
        route.path
        for route in SCOPED
        if route.query and "csv" in typing.get_args(typing.get_type_hints(route.query).get("format"))
    }

    assert sheets == {"/v1/reports/aging", "/v1/reports/statement", "/v1/reports/dso"}
