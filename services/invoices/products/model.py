"""What a product is."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is sold. A line that names it takes what it does not say itself from here."""

    id: UUID
    name: str
    description: str | None
    unit_price: Annotated[Decimal | None, Meta(description="price of one unit in major units, up to six decimals")]
    unit: Annotated[str | None, Meta(description="what is counted, such as `hour`")]
    account_id: Annotated[UUID | None, Meta(description="revenue account; the system's 4000 where null")]
    taxable: bool
    tax_rate_id: Annotated[UUID | None, Meta(description="rate for invoices with inline tax")]
    archived_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
