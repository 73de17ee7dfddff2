"""Reading invoices: requests that come together are answered by one statement, unchanged invoices from memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record
from msgspec import Raw

from services.invoices.config import InvoicesConfig
from services.invoices.settlement.events import invoice_of
from services.invoices.settlement.model import Receivable
from services.invoices.settlement.store import receivable
from services.invoices.views import store
from services.invoices.views.answers import Answers, Name
from shared import clock
from shared.app import Runtime
from shared.combining import Combiner
from shared.db import Conn
from shared.http.calls import encode
from shared.http.pages import Fetching, Page, PageQuery, Where
from shared.together import Together


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
        database = runtime.database.for_reading()
        self._find: Combiner[Wanted, Answered | None] = Combiner(database, self._several)
        self.together = Together(database)

    async def find(self, wanted: Wanted) -> Answered | None:
        """An invoice of a tenant with its lines and payments, where there is one."""
        return await self._find.submit(wanted)

    async def page(
        self, conn: Fetching, where: Where, query: PageQuery, *, count: str | None, timezone: str, now: datetime
    ) -> Page[Raw]:
        """A piece of a list, without lines and payments; where one is not known all are read, by the same statement."""
        page = await store.page(conn, where, query, count=count, content=False)
        today = clock.today((page.rows[0]["timezone"] if page.rows else None) or timezone, at=now)
        known = [self._answers.get(_name(row, today, whole=False)) for row in page.rows]
        found = [answer for answer in known if answer is not None]
        if len(found) == len(known):
            return Page(found, page.pagination)
        page = await store.page(conn, where, query, count=count, content=True)
        return page.map(lambda row: self._keep(row, store.listed(row), today, whole=False))

    async def _several(self, conn: Conn, wanted: Sequence[Wanted]) -> list[Answered | None]:
        rows = await store.name_several(conn, [(one.tenant_id, one.invoice_id) for one in wanted])
        answered = [self._known(one, row) for one, row in zip(wanted, rows, strict=True)]
        unknown = [i for i, row in enumerate(rows) if row["id"] is not None and answered[i] is None]
        if unknown:
            found = await self._read(conn, [wanted[i] for i in unknown])
            for i, answer in zip(unknown, found, strict=True):
                answered[i] = answer
        return answered

    async def _read(self, conn: Conn, wanted: Sequence[Wanted]) -> list[Answered | None]:
        rows = await store.find_several(conn, [(one.tenant_id, one.invoice_id) for one in wanted])
        return [self._made(one, row) for one, row in zip(wanted, rows, strict=True)]

    def _known(self, wanted: Wanted, row: Record) -> Answered | None:
        answer = self._answers.get(_name(row, _today(wanted, row), whole=True))
        return None if answer is None else Answered(answer, row["version"])

    def _made(self, wanted: Wanted, row: Record) -> Answered | None:
        if row["id"] is None:
            return None
        return Answered(self._keep(row, receivable(row), _today(wanted, row), whole=True), row["version"])

    def _keep(self, row: Record, invoice: Receivable, today: date, *, whole: bool) -> Raw:
        answer = Raw(encode(invoice_of(invoice, today, whole=whole)))
        self._answers.put(_name(row, today, whole=whole), answer)
        return answer


def _name(row: Record, today: date, *, whole: bool) -> Name:
    return row[0], row[1], row[2], row[3], today, whole


def _today(wanted: Wanted, row: Record) -> date:
    return clock.today(row["timezone"] or wanted.timezone, at=wanted.now)


@asynccontextmanager
async def reading(runtime: Runtime) -> AsyncIterator[Reading]:
    """The resource of the service."""
    yield Reading(runtime)
