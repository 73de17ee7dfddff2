"""What a report can be refused for."""

from shared.errors import NotFound


class StatementCustomerUnknown(NotFound, code="statement_customer_not_found"):
    """There is no customer {customer_id}."""
