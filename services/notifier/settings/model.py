"""How a tenant's mails go out."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import Annotated

import msgspec
from msgspec import Meta

DEFAULT_DAILY_LIMIT = 2000


class NotificationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a tenant's mails go out."""

    sender_name: Annotated[
        str | None, Meta(description="name that mails come from; null: the company name of the branding")
    ] = None
    reply_to: Annotated[
        str | None, Meta(description="where answers go, and copies of `cc_self`; null: the tenant's address")
    ] = None
    daily_limit: Annotated[int, Meta(description="most mails a day; the rest waits for the next day")] = (
        DEFAULT_DAILY_LIMIT
    )
    business_start: Annotated[time, Meta(description="in the customer's time zone")] = time(9)
    business_end: time = time(17)
    business_days: Annotated[Sequence[int], Meta(description="days of the week, Monday is 1")] = (1, 2, 3, 4, 5)
    hold_for_business_hours: Annotated[
        bool, Meta(description="whether mails that a caller scheduled wait for business hours too, as reminders do")
    ] = False
    send_receipts: Annotated[bool, Meta(description="whether a customer hears of each payment that arrived")] = False
    instalment_notice_days: Annotated[
        int | None, Meta(description="days before an instalment that the customer hears of it; null: never")
    ] = 3
    version: int = 0
    updated_at: datetime | None = None
