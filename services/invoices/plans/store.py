"""Rows of payment plans, their invoices and their instalments."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from services.invoices.plans import model
from services.invoices.plans.events import PaymentPlan, PlanInstalment, PlannedInvoice
from services.invoices.plans.model import Frequency, Instalment, PlanStatus
from shared.db import Conn
from shared.http import pages
from shared.http.pages import Page, PageQuery, Sort, Where
from shared.money import major

DUE = """select sum(case when i.status = 'cancelled' then 0 else i.amount_due_cents end)
    from plan_invoices pi join invoices i on i.tenant_id = pi.tenant_id and i.id = pi.invoice_id
    where pi.tenant_id = p.tenant_id and pi.plan_id = p.id"""

SELECT = f"""select p.id, p.customer_id, p.status, p.currency, p.amount_cents as amount, p.frequency, p.notes,
    p.ended_at, p.version, p.created_at, p.updated_at, coalesce(({DUE}), 0)::bigint as due_cents from plans p"""

SORTS = {
    "created_at": Sort("p.created_at", datetime),
    "amount": Sort("p.amount_cents", int),
    "status": Sort("p.status", str),
}


class NewPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A payment plan that is about to be stored. `invoices`: what is due on each."""

    id: UUID
    customer_id: UUID
    currency: str
    frequency: Frequency | None
    notes: str | None
    invoices: dict[UUID, int]
    instalments: tuple[Instalment, ...]
    created_at: datetime


class ActivePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What decides whether an active plan is kept."""

    id: UUID
    status: PlanStatus
    due_cents: int
    instalments: tuple[Instalment, ...]


async def find(conn: Conn, tenant_id: UUID, plan_id: UUID) -> PaymentPlan | None:
    """One payment plan, whole."""
    rows = await conn.fetch(f"{SELECT} where p.tenant_id = $1 and p.id = $2", tenant_id, plan_id)
    return (await _plans(conn, tenant_id, rows))[0] if rows else None


async def page(conn: Conn, tenant_id: UUID, where: Where, query: PageQuery) -> Page[PaymentPlan]:
    """One piece of the list."""
    rows = await pages.fetch(conn, SELECT, where, query, sorts=SORTS, id_expression="p.id")
    return Page(await _plans(conn, tenant_id, rows.rows), rows.pagination)


async def _plans(conn: Conn, tenant_id: UUID, rows: Sequence[asyncpg.Record]) -> list[PaymentPlan]:
    plan_ids = [row["id"] for row in rows]
    instalments = await _instalments(conn, tenant_id, plan_ids)
    invoices = await _invoices(conn, tenant_id, plan_ids)
    return [_plan(dict(row), instalments[row["id"]], invoices[row["id"]]) for row in rows]


def _plan(row: dict[str, Any], instalments: Sequence[Instalment], invoices: Sequence[PlannedInvoice]) -> PaymentPlan:
    amount_cents = row.pop("amount")
    due_cents = row.pop("due_cents")
    paid_cents = model.paid_cents(amount_cents, due_cents=due_cents)
    paid = model.paid_per_instalment(instalments, paid_cents=paid_cents)
    return PaymentPlan(
        **row,
        amount=major(amount_cents),
        paid_amount=major(paid_cents),
        remaining_amount=major(due_cents),
        invoice_ids=[invoice.invoice_id for invoice in invoices],
        invoices=invoices,
        instalments=[
            PlanInstalment(
                number=number,
                due_date=instalment.due_date,
                amount=major(instalment.amount_cents),
                paid_amount=major(cents),
            )
            for number, (instalment, cents) in enumerate(zip(instalments, paid, strict=True), start=1)
        ],
    )


async def _instalments(conn: Conn, tenant_id: UUID, plan_ids: Sequence[UUID]) -> dict[UUID, list[Instalment]]:
    rows = await conn.fetch(
        """select plan_id, due_date, amount_cents from instalments
           where tenant_id = $1 and plan_id = any ($2) order by plan_id, position""",
        tenant_id,
        plan_ids,
    )
    instalments: dict[UUID, list[Instalment]] = defaultdict(list)
    for row in rows:
        instalments[row["plan_id"]].append(Instalment(due_date=row["due_date"], amount_cents=row["amount_cents"]))
    return instalments


async def _invoices(conn: Conn, tenant_id: UUID, plan_ids: Sequence[UUID]) -> dict[UUID, list[PlannedInvoice]]:
    rows = await conn.fetch(
        """select plan_id, invoice_id, amount_cents from plan_invoices
           where tenant_id = $1 and plan_id = any ($2) order by plan_id, invoice_id""",
        tenant_id,
        plan_ids,
    )
    invoices: dict[UUID, list[PlannedInvoice]] = defaultdict(list)
    for row in rows:
        invoices[row["plan_id"]].append(PlannedInvoice(invoice_id=row["invoice_id"], amount=major(row["amount_cents"])))
    return invoices


async def invoice_ids(conn: Conn, tenant_id: UUID, plan_id: UUID) -> list[UUID]:
    """The invoices of a plan; they never change."""
    rows = await conn.fetch(
        "select invoice_id from plan_invoices where tenant_id = $1 and plan_id = $2", tenant_id, plan_id
    )
    return [row["invoice_id"] for row in rows]


async def insert(conn: Conn, tenant_id: UUID, plan: NewPlan) -> None:
    """Store a new, active plan."""
    await conn.execute(
        """insert into plans (tenant_id, id, customer_id, currency, status, amount_cents, frequency, notes, created_at,
               updated_at)
           values ($1, $2, $3, $4, 'active', $5, $6, $7, $8, $8)""",
        tenant_id,
        plan.id,
        plan.customer_id,
        plan.currency,
        sum(plan.invoices.values()),
        plan.frequency,
        plan.notes,
        plan.created_at,
    )
    await conn.executemany(
        """insert into plan_invoices (tenant_id, plan_id, invoice_id, amount_cents, active)
           values ($1, $2, $3, $4, true)""",
        [(tenant_id, plan.id, invoice_id, cents) for invoice_id, cents in plan.invoices.items()],
    )
    await conn.executemany(
        "insert into instalments (tenant_id, plan_id, position, due_date, amount_cents) values ($1, $2, $3, $4, $5)",
        [
            (tenant_id, plan.id, position, instalment.due_date, instalment.amount_cents)
            for position, instalment in enumerate(plan.instalments)
        ],
    )


async def lock(conn: Conn, tenant_id: UUID, plan_id: UUID) -> ActivePlan | None:
    """A plan, kept from changing until the transaction ends; its invoices are locked before."""
    row = await conn.fetchrow(
        f"""select p.id, p.status, coalesce(({DUE}), 0)::bigint as due_cents
            from plans p where p.tenant_id = $1 and p.id = $2 for update""",
        tenant_id,
        plan_id,
    )
    if row is None:
        return None
    instalments = await _instalments(conn, tenant_id, [plan_id])
    return msgspec.convert({**row, "instalments": instalments[plan_id]}, ActivePlan)


async def end(conn: Conn, tenant_id: UUID, plan_id: UUID, status: PlanStatus, *, now: datetime) -> None:
    """Store what an active plan, which is locked, has become."""
    await conn.execute(
        """update plans set status = $3, ended_at = $4, updated_at = $4, version = version + 1
           where tenant_id = $1 and id = $2""",
        tenant_id,
        plan_id,
        status,
        now,
    )
    await conn.execute(
        "update plan_invoices set active = false where tenant_id = $1 and plan_id = $2", tenant_id, plan_id
    )


async def active_plan_of(conn: Conn, tenant_id: UUID, invoice_id: UUID) -> UUID | None:
    """The active plan that an invoice is in."""
    plan_id: UUID | None = await conn.fetchval(
        "select plan_id from plan_invoices where tenant_id = $1 and invoice_id = $2 and active", tenant_id, invoice_id
    )
    return plan_id


REVIEWED = 500
"""Most plans looked at in one run of the clock; the next run takes the next."""


async def to_review(conn: Conn, *, now: datetime) -> list[tuple[UUID, UUID]]:
    """Tenant and id of active plans that nothing is due on, or whose late instalments are not covered."""
    rows = await conn.fetch(
        f"""select p.tenant_id, p.id
            from plans p
            join identity.tenants t on t.tenant_id = p.tenant_id
            left join settings s on s.tenant_id = p.tenant_id
            cross join lateral (select coalesce(({DUE}), 0) as due_cents) d
            cross join lateral (
                select coalesce(sum(n.amount_cents), 0) as expected_cents from instalments n
                where n.tenant_id = p.tenant_id and n.plan_id = p.id
                    and n.due_date < ($1 at time zone coalesce(s.timezone, t.timezone))::date
            ) e
            where p.status = 'active' and (d.due_cents = 0 or p.amount_cents - d.due_cents < e.expected_cents)
            limit $2""",
        now,
        REVIEWED,
    )
    return [(row["tenant_id"], row["id"]) for row in rows]


async def delete_of_customer(conn: Conn, tenant_id: UUID, customer_id: UUID) -> None:
    """Remove all payment plans of a customer."""
    for table, column in (("instalments", "plan_id"), ("plan_invoices", "plan_id"), ("plans", "id")):
        await conn.execute(
            f"""delete from {table} where tenant_id = $1
                    and {column} in (select id from plans where tenant_id = $1 and customer_id = $2)""",
            tenant_id,
            customer_id,
        )
