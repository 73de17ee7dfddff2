"""The customers service as a table."""

from pathlib import Path

from services.customers.config import CustomersConfig
from services.customers.profiles import api as profiles
from services.customers.profiles.events import EVENTS
from services.customers.tagging import api as tagging
from shared.app import Service

SERVICE = Service(
    name="customers",
    folder=Path(__file__).parent,
    summary="Who owes: customers, contacts, tags.",
    config=CustomersConfig,
    routes=(*profiles.ROUTES, *tagging.ROUTES),
    events=EVENTS,
    calls=("invoices",),
)
