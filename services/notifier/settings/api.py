"""HTTP: how a tenant's mails go out."""

from datetime import time
from typing import Annotated

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.notifier.patching import given
from services.notifier.settings import actions, store
from services.notifier.settings.model import NotificationSettings
from shared.errors import FieldError, InvalidFields
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.routes import Route

Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+\Z")]
Weekday = Annotated[int, Meta(ge=1, le=7)]


class NotificationSettingsPatch(Body, frozen=True, kw_only=True):
    """What to change of the settings."""

    sender_name: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType | None = UNSET
    reply_to: Email | UnsetType | None = UNSET
    daily_limit: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    business_start: time | UnsetType = UNSET
    business_end: time | UnsetType = UNSET
    business_days: Annotated[list[Weekday], Meta(min_length=1, max_length=7)] | UnsetType = UNSET
    hold_for_business_hours: bool | UnsetType = UNSET
    send_receipts: bool | UnsetType = UNSET
    instalment_notice_days: Annotated[int, Meta(ge=0, le=60)] | UnsetType | None = UNSET


async def get_settings(call: Call[None, None]) -> web.StreamResponse:
    """Get the settings for notifications."""
    async with call.connection() as conn:
        settings = await store.find(conn, call.caller.tenant_id)
    return call.reply(settings, version=settings.version)


async def change_settings(call: Call[NotificationSettingsPatch, None]) -> web.StreamResponse:
    """Change settings for notifications. They apply to mails sent from now on."""
    fields = given(call.body)
    _refuse_zones(fields)
    if "business_days" in fields:
        fields["business_days"] = sorted(set(fields["business_days"]))
    async with call.transaction() as conn:
        settings = await actions.change(
            conn, call.caller.tenant_id, fields, check_version=call.check_if_match, now=call.now
        )
        return call.reply(settings, version=settings.version)


def _refuse_zones(fields: dict[str, object]) -> None:
    """Business hours are wall-clock times of each customer, so a time zone in them means nothing."""
    wrong = [name for name, value in fields.items() if isinstance(value, time) and value.tzinfo is not None]
    if wrong:
        raise InvalidFields([FieldError(field=name, message="must have no time zone") for name in wrong])


PATH = "/v1/settings/notifications"

ROUTES = (
    Route("GET", PATH, get_settings, scope="invoices:read", returns=NotificationSettings),
    Route(
        "PATCH",
        PATH,
        change_settings,
        scope="invoices:write",
        body=NotificationSettingsPatch,
        returns=NotificationSettings,
    ),
    Route(
        "PUT",
        PATH,
        change_settings,
        scope="invoices:write",
        body=NotificationSettingsPatch,
        returns=NotificationSettings,
    ),
)
