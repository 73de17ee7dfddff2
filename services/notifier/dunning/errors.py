"""What dunning can be refused for."""

from shared.errors import Conflict, NotFound


class ScheduleUnknown(NotFound, code="dunning_schedule_not_found"):
    """There is no dunning schedule {schedule_id}."""


class ScheduleNameTaken(Conflict, code="dunning_schedule_name_taken"):
    """There is a dunning schedule named {name} already."""


class DefaultTaken(Conflict, code="dunning_default_taken"):
    """Another dunning schedule is the default already; change that first."""


class StepTemplateUnknown(NotFound, code="template_not_found"):
    """There is no template {template_id}."""


class PauseUnknown(NotFound, code="dunning_pause_not_found"):
    """There is no dunning pause {pause_id}."""


class PausedObjectUnknown(NotFound, code="invoice_not_found"):
    """There is no invoice {invoice_id}."""


class CustomerUnknown(NotFound, code="customer_not_found"):
    """There is no customer {customer_id}."""
