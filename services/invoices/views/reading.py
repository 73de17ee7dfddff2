"""Reading invoices: requests that come together are answered by one statement, unchanged invoices from memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from msgspec import Raw

from services.invoices.config import InvoicesConfig
from services.invoices.settlement.events import invoice_of
from services.invoices.settlement.model import Receivable
from services.invoices.views import store
from services.invoices.views.answers import Answers, Name
from services.invoices.views.store import Listed, Named
from shared import clock
from shared.app import Runtime
from shared.combining import Combiner
from shared.db import Conn
from shared.http.calls import encode
from shared.http.pages import Page, PageQuery, Where


class Wanted(NamedTuple):
    """An invoice that somebody asks for."""

    tenant_id: UUID
    invoice_id: UUID
    timezone: str
    """The tenant's, unless another one is set for invoicing."""
    now: datetime


class Answered(NamedTuple):
    """An invoice as JSON."""

    json: Raw
    version: int


class Reading:
    """One process's way to invoices."""

    def __init__(self, runtime: Runtime) -> None:
        assert isinstance(runtime.config, InvoicesConfig)
        self._answers = Answers(runtime.config.answers_bytes)
        self._find: Combiner[Wanted, Answered | None] = Combiner(runtime.database, self._several)

    async def find(self, wanted: Wanted) -> Answered | None:
        """An invoice of a tenant with its lines and payments, where there is one."""
        return await self._find.submit(wanted)

    async def page(
        self, conn: Conn, where: Where, query: PageQuery, *, count: str | None, timezone: str, now: datetime
    ) -> Page[Raw]:
        """A piece of a list, without lines and payments; what is not known yet is read by the same statement."""

        def known(row: Listed) -> Raw | None:
            return self._answers.get(_name(row.named, today, whole=False))

        def made(row: Listed) -> Raw:
            assert row.invoice is not None, "content was asked for"
            return self._answer(row.invoice, today, whole=False)

        named = await store.page(conn, where, query, count=count, content=False)
        today = clock.today((named.rows[0].named.timezone if named.rows else None) or timezone, at=now)
        found = [answer for row in named.rows if (answer := known(row)) is not None]
        if len(found) == len(named.rows):
            return Page(found, named.pagination)
        return (await store.page(conn, where, query, count=count, content=True)).map(made)

    async def _several(self, conn: Conn, wanted: Sequence[Wanted]) -> list[Answered | None]:
        named = await store.name_several(conn, [(one.tenant_id, one.invoice_id) for one in wanted])
        answered = [self._known(one, name) for one, name in zip(wanted, named, strict=True)]
        unknown = [i for i, name in enumerate(named) if name is not None and answered[i] is None]
        if unknown:
            found = await self._made(conn, [wanted[i] for i in unknown])
            for i, answer in zip(unknown, found, strict=True):
                answered[i] = answer
        return answered

    def _known(self, wanted: Wanted, named: Named | None) -> Answered | None:
        if named is None:
            return None
        today = clock.today(named.timezone or wanted.timezone, at=wanted.now)
        answer = self._answers.get(_name(named, today, whole=True))
        return None if answer is None else Answered(answer, named.version)

    async def _made(self, conn: Conn, wanted: Sequence[Wanted]) -> list[Answered | None]:
        made: list[Answered | None] = []
        rows = await store.find_several(conn, [(one.tenant_id, one.invoice_id) for one in wanted])
        for one, found in zip(wanted, rows, strict=True):
            if found is None:
                made.append(None)
                continue
            today = clock.today(found.timezone or one.timezone, at=one.now)
            made.append(Answered(self._answer(found.invoice, today, whole=True), found.invoice.version))
        return made

    def _answer(self, invoice: Receivable, today: date, *, whole: bool) -> Raw:
        answer = Raw(encode(invoice_of(invoice, today, whole=whole)))
        name = Name(invoice.id, invoice.version, invoice.updated_at, invoice.email, today, whole)
        self._answers.put(name, answer)
        return answer


def _name(named: Named, today: date, *, whole: bool) -> Name:
    return Name(named.id, named.version, named.updated_at, named.email, today, whole)


@asynccontextmanager
async def reading(runtime: Runtime) -> AsyncIterator[Reading]:
    """The resource of the service."""
    yield Reading(runtime)
