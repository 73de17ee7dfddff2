"""HTTP: the settings that invoices are made with."""

from typing import Annotated

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.invoices.patching import given
from services.invoices.settings import actions, model
from services.invoices.settings.model import NumberOn, Settings
from shared.errors import FieldError, InvalidFields
from shared.http.bodies import Body, Timezone
from shared.http.calls import Call
from shared.http.routes import Route

Short = Annotated[str, Meta(max_length=200)]
Long = Annotated[str, Meta(max_length=2000)]
Prefix = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,19}\Z", description="what numbers begin with, before the year")
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z", description="ISO 4217")]
Color = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}\Z")]
Logo = Annotated[str, Meta(max_length=400_000, description="PNG or JPEG, at most 256 KiB, as a data URL or in Base64")]


class BrandingPatch(Body, frozen=True, kw_only=True):
    """What to change of the branding; null clears."""

    company_name: Short | UnsetType | None = UNSET
    address: Long | UnsetType | None = UNSET
    tax_id: Short | UnsetType | None = UNSET
    logo: Logo | UnsetType | None = UNSET
    color: Color | UnsetType | None = UNSET
    footer: Long | UnsetType | None = UNSET
    bank_details: Long | UnsetType | None = UNSET


class SettingsPatch(Body, frozen=True, kw_only=True):
    """What to change of the settings. A null time zone or currency: the one that the operator gave the tenant."""

    invoice_prefix: Prefix | UnsetType = UNSET
    number_on: NumberOn | UnsetType = UNSET
    payment_terms_days: Annotated[int, Meta(ge=0, le=3650)] | UnsetType = UNSET
    timezone: Timezone | UnsetType | None = UNSET
    currency: Currency | UnsetType | None = UNSET
    multi_currency: bool | UnsetType = UNSET
    branding: BrandingPatch | UnsetType = UNSET


async def get_settings(call: Call[None, None]) -> web.StreamResponse:
    """Get the settings for invoicing."""
    async with call.connection() as conn:
        settings = await actions.current(conn, call.caller)
    return call.reply(settings, version=settings.version)


async def change_settings(call: Call[SettingsPatch, None]) -> web.StreamResponse:
    """Change settings for invoicing. They apply to invoices made from now on."""
    fields = given(call.body)
    branding = {} if call.body.branding is UNSET else given(call.body.branding)
    fields.pop("branding", None)
    _refuse_logo(branding.get("logo"))
    async with call.transaction() as conn:
        stored = await actions.change(
            conn, call.caller.tenant_id, fields, branding, check_version=call.check_if_match, now=call.now
        )
        settings = model.shown(stored, timezone=call.caller.timezone, currency=call.caller.currency)
        return call.reply(settings, version=settings.version)


def _refuse_logo(logo: object) -> None:
    if isinstance(logo, str) and (mistake := model.logo_mistake(logo)):
        raise InvalidFields([FieldError(field="branding.logo", message=mistake)])


PATH = "/v1/settings/invoicing"

ROUTES = (
    Route("GET", PATH, get_settings, scope="invoices:read", returns=Settings),
    Route("PATCH", PATH, change_settings, scope="invoices:write", body=SettingsPatch, returns=Settings),
    Route("PUT", PATH, change_settings, scope="invoices:write", body=SettingsPatch, returns=Settings),
)
