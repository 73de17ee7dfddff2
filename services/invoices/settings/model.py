"""How a tenant bills."""

import base64
import binascii
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

LOGO_BYTES = 256 * 1024
LOGO_STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
"""What a PNG and a JPEG begin with."""


class NumberOn(StrEnum):
    """When an invoice takes its number."""

    CREATE = "create"
    ISSUE = "issue"


class Branding(msgspec.Struct, frozen=True, kw_only=True):
    """How the documents of a tenant look."""

    company_name: str | None = None
    address: str | None = None
    tax_id: str | None = None
    logo: Annotated[str | None, Meta(description="PNG or JPEG of at most 256 KiB, as a data URL or in Base64")] = None
    color: Annotated[str | None, Meta(description="`#rrggbb`")] = None
    footer: str | None = None
    bank_details: str | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that invoices are made with."""

    invoice_prefix: str
    number_on: NumberOn
    payment_terms_days: int
    timezone: str
    currency: str
    multi_currency: Annotated[bool, Meta(description="whether invoices in other currencies are accepted")]
    branding: Branding
    version: int
    updated_at: datetime | None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What a tenant has set; a null time zone or currency means the one that the operator gave the tenant."""

    tenant_id: UUID
    version: int = 0
    invoice_prefix: str = "INV"
    number_on: NumberOn = NumberOn.CREATE
    payment_terms_days: int = 30
    timezone: str | None = None
    currency: str | None = None
    multi_currency: bool = False
    branding: Branding = Branding()
    updated_at: datetime | None = None


def shown(stored: Stored, *, timezone: str, currency: str) -> Settings:
    """What applies to the tenant, with what the operator gave it where it set nothing."""
    return Settings(
        invoice_prefix=stored.invoice_prefix,
        number_on=stored.number_on,
        payment_terms_days=stored.payment_terms_days,
        timezone=stored.timezone or timezone,
        currency=stored.currency or currency,
        multi_currency=stored.multi_currency,
        branding=stored.branding,
        version=stored.version,
        updated_at=stored.updated_at,
    )


def logo_mistake(logo: str) -> str | None:
    """What is wrong with a logo, in words; None when it is a PNG or JPEG that fits."""
    try:
        image = base64.b64decode(logo.partition("base64,")[2] or logo, validate=True)
    except (binascii.Error, ValueError):
        return "must be Base64 or a data URL in Base64"
    if not image.startswith(LOGO_STARTS):
        return "must be a PNG or a JPEG"
    if len(image) > LOGO_BYTES:
        return f"must be at most {LOGO_BYTES // 1024} KiB"
    return None
