"""What customers and developers see in a browser: the hosted page on a phone and a desktop, and the kept mails."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from tests.harness import Client, wait_for
from tests.integration.notifier.world import a_customer, an_invoice, system_template

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 900}}
BRANDING = {
    "company_name": "Halvorsen & Müller GmbH",
    "address": "Kastanienallee 12\n10435 Berlin",
    "color": "#0b6e4f",
    "footer": "Amtsgericht Charlottenburg HRB 12345",
    "bank_details": "Deutsche Bank\nIBAN DE89 3704 0044 0532 0130 00\nBIC COBADEFFXXX",
}


@pytest_asyncio.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(params=[PHONE, DESKTOP], ids=["phone", "desktop"])
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page without JavaScript, as it must do."""
    context = await browser.new_context(java_script_enabled=False, **request.param)
    yield await context.new_page()
    await context.close()


async def an_invoice_page(client: Client) -> tuple[dict[str, Any], str]:
    await client.patch("/v1/settings/invoicing", json={"branding": BRANDING})
    lines = [
        {
            "description": "Consulting, October",
            "quantity": 12.5,
            "unit": "h",
            "unit_price": 120,
            "long_description": "Three workshops",
        },
        {"description": "A_very_long_word_" * 8, "unit_price": 45.3},
    ]
    invoice = await an_invoice(
        client, (await a_customer(client))["id"], line_items=lines, note_to_customer="Thank you for your business."
    )
    return invoice, (await client.get(f"/v1/invoices/{invoice['id']}/payment-link")).data["url"]


async def fits(page: Page) -> bool:
    """Whether nothing reaches beyond the right edge of the screen."""
    context = page.context
    with_script = await context.browser.new_context(  # type: ignore[union-attr]
        viewport=page.viewport_size,
        is_mobile=page.viewport_size["width"] < 500,  # type: ignore[index]
    )
    probe = await with_script.new_page()
    await probe.goto(page.url)
    wide = await probe.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await with_script.close()
    return bool(wide)


async def test_a_customer_reads_and_pays_an_invoice(page: Page, client: Client, screenshots: Any) -> None:
    invoice, url = await an_invoice_page(client)

    await page.goto(url)
    await screenshots(page, "open")
    assert await fits(page)
    assert await page.title() == f"Invoice {invoice['invoice_number']} · Halvorsen & Müller GmbH"
    await page.get_by_role("button", name="Pay USD").click()
    await screenshots(page, "sandbox")
    await page.get_by_role("button", name="Pay", exact=True).click()
    await screenshots(page, "paid")

    assert await page.get_by_role("status").inner_text() == "Thank you. Your payment has arrived."
    assert await page.get_by_text("Nothing is due any more").is_visible()
    assert (await client.get(f"/v1/invoices/{invoice['id']}")).data["status"] == "paid"


async def test_a_declined_payment_says_so_and_can_be_tried_again(page: Page, client: Client) -> None:
    _, url = await an_invoice_page(client)

    await page.goto(url)
    await page.get_by_role("button", name="Pay USD").click()
    await page.get_by_role("button", name="Decline").click()

    assert "Nothing was charged" in await page.get_by_role("status").inner_text()
    assert await page.get_by_role("button", name="Pay USD").is_visible()


async def test_the_page_is_told_apart_by_its_landmarks_and_labels(page: Page, client: Client) -> None:
    _, url = await an_invoice_page(client)

    await page.goto(url)

    assert await page.get_by_role("main").count() == 1
    assert await page.get_by_role("heading", level=1).count() == 1
    assert await page.get_by_role("region", name="Pay by bank transfer").is_visible()
    assert await page.get_by_role("columnheader").count() == 2
    assert await page.locator("html").get_attribute("lang") == "en"
    for image in await page.locator("img").all():
        assert await image.get_attribute("alt")


async def test_a_kept_mail_is_shown_and_cannot_run_anything(page: Page, client: Client, screenshots: Any) -> None:
    evil = "<script>document.title='evil'</script><p>Hello {{ contact.name }}</p><img src='http://127.0.0.1:1/x.png'>"
    made = await client.post(
        "/v1/templates", json={"name": "Evil", "subject": "<b>Bill</b>", "html": evil, "text": "Hello"}
    )
    invoice = await an_invoice(client, (await a_customer(client))["id"])
    body = {"template_id": made.data["id"]}
    asked = (await client.post(f"/v1/invoices/{invoice['id']}?action=send", json=body)).json["communication"]["id"]
    standard = {"template_id": await system_template(client)}
    await client.post(f"/v1/invoices/{invoice['id']}?action=send", json=standard)

    async def kept() -> bool:
        async with client.session.get(f"{client.base_url}/dev/mail/{client.tenant_id}/{asked}") as answer:
            return answer.status == 200

    await wait_for(kept)
    blocked: dict[str, str | None] = {}
    page.on("requestfailed", lambda request: blocked.update({request.url: request.failure}))
    await page.goto(f"{client.base_url}/dev/mail")
    await screenshots(page, "mails")
    await page.goto(f"{client.base_url}/dev/mail/{client.tenant_id}/{asked}")
    await screenshots(page, "mail")

    assert await page.frame_locator("iframe").get_by_text("Hello Kari Nordmann").is_visible()
    assert await page.title() == "<b>Bill</b>"
    assert blocked == {"http://127.0.0.1:1/x.png": "csp"}


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Takes a picture of a page for people to look at, in pytest's directory of this run."""
    directory = tmp_path_factory.mktemp("screenshots")

    async def take(page: Page, name: str) -> None:
        kind = "phone" if (page.viewport_size or {"width": 0})["width"] < 500 else "desktop"
        await page.screenshot(path=directory / f"{name}-{kind}.png", full_page=True)

    return take
