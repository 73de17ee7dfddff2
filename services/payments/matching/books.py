"""The indexes of open invoices that this process keeps in memory, one a tenant, brought up to date before each use."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from services.payments.matching import store
from services.payments.matching.index import OpenInvoices
from services.payments.matching.store import Alias, KnownInvoice
from shared.db import Conn

MAX_TENANTS = 100
MAX_INVOICES = 200_000
"""About 2 KB each: the least recently used tenants go first."""


class _Book:
    def __init__(self) -> None:
        self.index = OpenInvoices()
        self.tick = -1
        self.lock = asyncio.Lock()


class Books:
    """A process's indexes. Ticks make it exact: what was committed before the transaction began is in the index."""

    def __init__(self) -> None:
        self._books: OrderedDict[UUID, _Book] = OrderedDict()

    @asynccontextmanager
    async def opened(self, conn: Conn, tenant_id: UUID) -> AsyncIterator[OpenInvoices]:
        """The tenant's index, used by one task at a time; it is left as it was found, or thrown away."""
        book = await self._locked(tenant_id)
        try:
            await _refresh(conn, tenant_id, book)
            yield book.index
            book.index.forget_payments()
        except BaseException:
            self._books.pop(tenant_id, None)
            raise
        finally:
            book.lock.release()
        self._evict()

    async def _locked(self, tenant_id: UUID) -> _Book:
        """The book, locked; one that was thrown away while we waited for it is not used any more."""
        while True:
            book = self._books.setdefault(tenant_id, _Book())
            await book.lock.acquire()
            if self._books.get(tenant_id) is book:
                self._books.move_to_end(tenant_id)
                return book
            book.lock.release()

    def _evict(self) -> None:
        while len(self._books) > 1 and (len(self._books) > MAX_TENANTS or self._size() > MAX_INVOICES):
            self._books.popitem(last=False)

    def _size(self) -> int:
        return sum(len(book.index) for book in self._books.values())


async def _refresh(conn: Conn, tenant_id: UUID, book: _Book) -> None:
    """Read what is new. The clock is read first: what is committed meanwhile is read again the next time."""
    tick = await store.tick_now(conn, tenant_id)
    if tick == book.tick:
        return
    first = book.tick < 0
    invoices = await (
        store.open_invoices(conn, tenant_id) if first else store.changed_invoices(conn, tenant_id, book.tick)
    )
    for invoice in invoices:
        _put(book.index, invoice)
    for alias in await store.changed_aliases(conn, tenant_id, book.tick):
        _learn(book.index, alias)
    book.tick = tick - 1 if tick else 0


def _put(index: OpenInvoices, invoice: KnownInvoice) -> None:
    if invoice.status == "deleted":
        index.remove(invoice.id)
        index.payers.forget(invoice.customer_id)
    else:
        index.put(store.open_invoice(invoice))


def _learn(index: OpenInvoices, alias: Alias) -> None:
    if alias.confirmed > alias.undone:
        index.payers.learn(alias.name_key, alias.customer_id)
    else:
        index.payers.unlearn(alias.name_key, alias.customer_id)
    index.payers.doubt(alias.name_key, alias.customer_id, doubted=alias.undone > alias.confirmed)
