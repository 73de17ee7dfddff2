"""What a tax rate is."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A named rate. A change of it does not touch the invoices that were made before."""

    id: UUID
    name: str
    rate: Annotated[Decimal, Meta(description="as a fraction: 0.09975 is 9.975 %")]
    archived_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
