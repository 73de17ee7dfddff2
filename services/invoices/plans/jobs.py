"""The clock of payment plans: instalments become late when their tenant's day ends."""

from uuid import UUID

from services.invoices.plans import actions, store
from services.invoices.settlement import actions as settlement
from shared.app import Runtime
from shared.clock import now
from shared.jobs import Job, one_by_one, tell


async def review_plans(runtime: Runtime) -> None:
    """End the plans that are completed or defaulted; after downtime it catches up."""

    async def review(found: tuple[UUID, UUID]) -> None:
        tenant_id, plan_id = found
        async with runtime.database.transaction() as conn:
            moment = await settlement.moment(conn, tenant_id, now())
            await actions.review(conn, tenant_id, plan_id, moment=moment)

    async with runtime.database.connection() as conn:
        plans = await store.to_review(conn, now=now())
    tell(await one_by_one(plans, review))


JOBS = (Job("review_plans", every_seconds=60, run=review_plans),)
