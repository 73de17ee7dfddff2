"""The invoices service as a table: the only file that knows all rooms."""

from pathlib import Path

from services.invoices import dispatch
from services.invoices.chart import api as chart
from services.invoices.config import InvoicesConfig
from services.invoices.credit_documents import api as credit_documents
from services.invoices.credits import api as credit_notes
from services.invoices.credits import consumers as credit_consumers
from services.invoices.credits.events import CREDIT_NOTE_CREATED
from services.invoices.disputes import api as disputes
from services.invoices.disputes import consumers as dispute_consumers
from services.invoices.disputes.events import DISPUTE_CREATED, DISPUTE_RESOLVED
from services.invoices.issuing import api as issuing
from services.invoices.issuing import charging_api as charging
from services.invoices.issuing import consumers as issuing_consumers
from services.invoices.issuing import internal_api as closing
from services.invoices.issuing.creating import creating
from services.invoices.issuing.events import COMMUNICATION_REQUESTED, PDF_REQUESTED
from services.invoices.journal import api as journal
from services.invoices.plans import api as plans
from services.invoices.plans import consumers as plan_consumers
from services.invoices.plans import jobs as plan_jobs
from services.invoices.plans.events import PLAN_COMPLETED, PLAN_DEFAULTED, PLAN_ENROLLED
from services.invoices.products import api as products
from services.invoices.recipients import consumers as recipient_consumers
from services.invoices.rendering import api as rendering
from services.invoices.rendering import consumers as rendering_consumers
from services.invoices.rendering import jobs as rendering_jobs
from services.invoices.rendering.paying import providers
from services.invoices.reports import api as reports
from services.invoices.reports import letters_api as statement_letters
from services.invoices.settings import api as settings
from services.invoices.settlement import api as settlement
from services.invoices.settlement import consumers as settlement_consumers
from services.invoices.settlement import jobs as settlement_jobs
from services.invoices.settlement.events import EVENTS
from services.invoices.tax_rates import api as tax_rates
from services.invoices.views import api as views
from services.invoices.views.reading import reading
from shared.app import Service
from shared.blobs import blobs

SERVICE = Service(
    name="invoices",
    folder=Path(__file__).parent,
    summary="What is owed: the receivables sub-ledger and the general ledger behind it.",
    config=InvoicesConfig,
    routes=(
        *views.ROUTES,
        *issuing.ROUTES,
        *dispatch.routes(issuing.ACTIONS, rendering.ACTIONS),
        *credit_notes.ROUTES,
        *credit_documents.ROUTES,
        *disputes.ROUTES,
        *plans.ROUTES,
        *products.ROUTES,
        *tax_rates.ROUTES,
        *chart.ROUTES,
        *journal.ROUTES,
        *rendering.ROUTES,
        *reports.ROUTES,
        *statement_letters.ROUTES,
        *settings.ROUTES,
        *settlement.ROUTES,
        *closing.ROUTES,
        *charging.ROUTES,
    ),
    subscriptions=(
        *recipient_consumers.SUBSCRIPTIONS,
        *settlement_consumers.SUBSCRIPTIONS,
        *dispute_consumers.SUBSCRIPTIONS,
        *plan_consumers.SUBSCRIPTIONS,
        *credit_consumers.SUBSCRIPTIONS,
        *issuing_consumers.SUBSCRIPTIONS,
        *rendering_consumers.SUBSCRIPTIONS,
    ),
    jobs=(*settlement_jobs.JOBS, *plan_jobs.JOBS, *rendering_jobs.JOBS),
    workers=rendering_jobs.WORKERS,
    resources=(blobs, providers, creating, reading),
    events=(
        *EVENTS,
        CREDIT_NOTE_CREATED,
        DISPUTE_CREATED,
        DISPUTE_RESOLVED,
        PLAN_ENROLLED,
        PLAN_COMPLETED,
        PLAN_DEFAULTED,
        COMMUNICATION_REQUESTED,
        PDF_REQUESTED,
    ),
    calls=("customers", "notifier", "payments"),
)
