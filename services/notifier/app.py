"""Wiring of the notifier: the only file that knows all its rooms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.notifier.communications import api as communications
from services.notifier.communications import events
from services.notifier.communications import jobs as sending
from services.notifier.config import NotifierConfig
from services.notifier.consumers import SUBSCRIPTIONS
from services.notifier.dunning import api as dunning
from services.notifier.dunning import jobs as reminding
from services.notifier.mail import api as mail
from services.notifier.mail.office import offices
from services.notifier.settings import api as settings
from services.notifier.templates import actions as templates_actions
from services.notifier.templates import api as templates
from shared.app import Runtime, Service


class Seeded:
    """The system's templates are in the database."""


@asynccontextmanager
async def system_templates(runtime: Runtime) -> AsyncIterator[object]:
    """Bring the system's templates to this version's words before anything is sent."""
    async with runtime.database.transaction() as conn:
        await templates_actions.seed(conn)
    yield Seeded()


SERVICE = Service(
    name="notifier",
    folder=Path(__file__).parent,
    summary="Telling people: templates, mails, reminders.",
    config=NotifierConfig,
    routes=(*templates.ROUTES, *communications.ROUTES, *dunning.ROUTES, *settings.ROUTES, *mail.ROUTES),
    subscriptions=SUBSCRIPTIONS,
    jobs=(*sending.JOBS, *reminding.JOBS),
    workers=sending.WORKERS,
    resources=(system_templates, offices),
    events=events.EVENTS,
    calls=("customers", "invoices"),
)
