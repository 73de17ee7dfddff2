"""Whether the books are right: the invariants of docs/accounting.md, checked in SQL over all tenants."""

from uuid import UUID

import msgspec

from shared.db import Conn

CHECKS = {
    "an entry does not balance": """
        select e.tenant_id, e.source, sum(l.debit_cents) - sum(l.credit_cents) as off_cents
        from journal_entries e
        left join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
        group by e.tenant_id, e.id, e.source
        having coalesce(sum(l.debit_cents) - sum(l.credit_cents), 1) <> 0
    """,
    "the trial balance is not zero": """
        select e.tenant_id, e.currency, sum(l.debit_cents) - sum(l.credit_cents) as off_cents
        from journal_entries e
        join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
        group by e.tenant_id, e.currency having sum(l.debit_cents) <> sum(l.credit_cents)
    """,
    "accounts receivable differ from what is due": """
        with posted as (
            select e.tenant_id, e.invoice_id, sum(l.debit_cents - l.credit_cents) as cents
            from journal_entries e
            join journal_lines l on l.tenant_id = e.tenant_id and l.entry_id = e.id
            where l.account_id = account_id(e.tenant_id, '1100') group by 1, 2
        ), due as (
            select i.tenant_id, i.id as invoice_id, i.amount_due_cents as cents
            from invoices i where i.status not in ('draft', 'cancelled')
        )
        select coalesce(p.tenant_id, d.tenant_id) as tenant_id,
            coalesce(p.invoice_id, d.invoice_id)::text as what,
            coalesce(p.cents, 0) - coalesce(d.cents, 0) as off_cents
        from posted p full join due d on d.tenant_id = p.tenant_id and d.invoice_id = p.invoice_id
        where coalesce(p.cents, 0) <> coalesce(d.cents, 0)
    """,
    "paid, credited and due do not add up to the amount": """
        select i.tenant_id, i.id::text as what, i.amount_cents - i.amount_due_cents - i.matched_cents
            - i.external_payment_cents - i.credited_cents - i.written_off_cents as off_cents
        from invoices i
        where i.amount_cents <> i.amount_due_cents + i.matched_cents + i.external_payment_cents + i.credited_cents
            + i.written_off_cents or i.amount_due_cents < 0
    """,
    "what is matched differs from the payments on the invoice": """
        select i.tenant_id, i.id::text as what, i.matched_cents - coalesce(a.cents, 0) as off_cents
        from invoices i left join (
            select tenant_id, invoice_id, sum(applied_cents) as cents from applications
            where status = 'applied' group by 1, 2
        ) a on a.tenant_id = i.tenant_id and a.invoice_id = i.id
        where i.matched_cents <> coalesce(a.cents, 0)
    """,
    "what is credited differs from the credit notes on the invoice": """
        select i.tenant_id, i.id::text as what, i.credited_cents - coalesce(c.cents, 0) as off_cents
        from invoices i left join (
            select tenant_id, invoice_id, sum(amount_cents) as cents from credit_applications group by 1, 2
        ) c on c.tenant_id = i.tenant_id and c.invoice_id = i.id
        where i.credited_cents <> coalesce(c.cents, 0)
    """,
    "the lines do not add up to the subtotal": """
        select i.tenant_id, i.id::text as what, i.subtotal_cents - coalesce(l.cents, 0) as off_cents
        from invoices i left join (
            select tenant_id, invoice_id, sum(net_cents) as cents from line_items group by 1, 2
        ) l on l.tenant_id = i.tenant_id and l.invoice_id = i.id
        where i.by_lines and i.subtotal_cents <> coalesce(l.cents, 0)
    """,
    "the kept counts of invoices are wrong": """
        select coalesce(k.tenant_id, c.tenant_id) as tenant_id, coalesce(k.status, c.status) as what,
            coalesce(k.n, 0) - coalesce(c.n, 0) as off_cents
        from (
            select tenant_id, status, archived, sum(invoices) as n from invoice_counts group by 1, 2, 3
        ) k full join (
            select tenant_id, status, archived_at is not null as archived, count(*) as n from invoices group by 1, 2, 3
        ) c on c.tenant_id = k.tenant_id and c.status = k.status and c.archived = k.archived
        where coalesce(k.n, 0) <> coalesce(c.n, 0)
    """,
    "an invoice number is missing from its series": """
        select c.tenant_id, c.prefix || '-' || c.year as what, c.last - count(i.id) as off_cents
        from counters c left join invoices i on i.tenant_id = c.tenant_id and c.kind = 'invoice'
            and i.invoice_number like replace(replace(c.prefix, '\\', '\\\\'), '_', '\\_') || '-'
                || lpad(c.year::text, 4, '0') || '-%'
            and substr(i.invoice_number, length(c.prefix) + 7) ~ '^[0-9]{4,18}$'
            and substr(i.invoice_number, length(c.prefix) + 7)::bigint <= c.last
        where c.kind = 'invoice' and not exists (
            select from recipients r where r.tenant_id = c.tenant_id and r.deleted_at is not null)
        group by c.tenant_id, c.prefix, c.year, c.last having c.last > count(i.id)
    """,
}
"""Each statement finds what is wrong: tenant, what, and by how much."""

UNAPPLIED = """
    with posted as (
        select e.tenant_id, e.currency, sum(l.credit_cents - l.debit_cents) as cents
        from journal_lines l join journal_entries e on e.tenant_id = l.tenant_id and e.id = l.entry_id
        where l.account_id = account_id(l.tenant_id, '2200') group by 1, 2
    ), held as (
        select tenant_id, currency, sum(cents) as cents from (
            select tenant_id, currency, unapplied_cents as cents from payments.payments
            union all select tenant_id, currency, unapplied_cents from credit_notes
        ) all_of_it group by 1, 2
    )
    select coalesce(p.tenant_id, h.tenant_id) as tenant_id, coalesce(p.currency, h.currency) as what,
        coalesce(p.cents, 0) - coalesce(h.cents, 0) as off_cents
    from posted p full join held h on h.tenant_id = p.tenant_id and h.currency = p.currency
    where coalesce(p.cents, 0) <> coalesce(h.cents, 0)
"""
"""Needs the eyes of the owner, since no service sees another's schema, and empty queues."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must not be. `off` is the difference, in cents or in pieces."""

    check: str
    tenant_id: UUID
    what: str
    off: int


async def findings(conn: Conn) -> list[Finding]:
    """Everything that is wrong with the books; nothing, when all invariants hold."""
    await conn.execute("set search_path = invoices, identity")  # also as the owner of all schemas
    return [finding for check, statement in CHECKS.items() for finding in await _found(conn, check, statement)]


async def unapplied_findings(conn: Conn) -> list[Finding]:
    """Where 2200 differs from the unapplied money of payments and credit notes, once all events have arrived."""
    await conn.execute("set search_path = invoices, identity")
    return await _found(conn, "unapplied cash differs from what payments and credits have left", UNAPPLIED)


async def _found(conn: Conn, check: str, statement: str) -> list[Finding]:
    return [
        Finding(check=check, tenant_id=tenant_id, what=str(what), off=int(off or 0))
        for tenant_id, what, off in await conn.fetch(statement)
    ]
