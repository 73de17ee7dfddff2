"""The payments service as a table."""

from pathlib import Path

from services.payments.config import PaymentsConfig
from services.payments.imports import api as imports
from services.payments.imports import jobs as import_jobs
from services.payments.intake import api as intake
from services.payments.intake.events import EVENTS as PAYMENT_EVENTS
from services.payments.intake.taking import till
from services.payments.matching import api as matching
from services.payments.matching import consumers as matching_consumers
from services.payments.matching import jobs as matching_jobs
from services.payments.matching import online_api
from services.payments.reconciliation import api as reconciliation
from services.payments.reconciliation import consumers as reconciliation_consumers
from services.payments.reconciliation.events import EVENTS as RECONCILIATION_EVENTS
from shared.app import Service

SERVICE = Service(
    name="payments",
    folder=Path(__file__).parent,
    summary="What was paid: payments, matching them to invoices, bank files, the reconciliation queue.",
    config=PaymentsConfig,
    routes=(*imports.ROUTES, *intake.ROUTES, *matching.ROUTES, *online_api.ROUTES, *reconciliation.ROUTES),
    subscriptions=(*matching_consumers.SUBSCRIPTIONS, *reconciliation_consumers.SUBSCRIPTIONS),
    jobs=matching_jobs.JOBS,
    workers=(matching_jobs.match_waiting, *import_jobs.WORKERS),
    resources=(till, matching_jobs.books, matching_jobs.waker, import_jobs.waker),
    events=(*PAYMENT_EVENTS, *RECONCILIATION_EVENTS),
    calls=("invoices",),
)
