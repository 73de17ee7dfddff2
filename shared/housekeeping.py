"""What every service forgets in time, so that its tables of mechanisms do not grow for ever."""

from shared import inbox
from shared.http import idempotency
from shared.jobs import Host, Job

EVERY_SECONDS = 3600


async def forget_handled_events(host: Host) -> None:
    """Ids of events that nothing will deliver again."""
    await inbox.forget(host.database)


async def forget_answers(host: Host) -> None:
    """Answers whose promise to be repeated is over."""
    async with host.database.transaction() as conn:
        await idempotency.forget_old(conn)


JOBS = (
    Job("forget_handled_events", every_seconds=EVERY_SECONDS, run=forget_handled_events),
    Job("forget_answers", every_seconds=EVERY_SECONDS, run=forget_answers),
)
