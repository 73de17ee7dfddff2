"""What a payment plan can be refused for."""

from shared.errors import Conflict, Invalid, NotFound


class PlanUnknown(NotFound, code="payment_plan_not_found"):
    """There is no payment plan {plan_id}."""


class PlanNotActive(Conflict, code="payment_plan_not_active"):
    """This payment plan is {status}; only an active one can be cancelled."""


class ScheduleMissing(Invalid, code="schedule_missing"):
    """Give either `instalments`, or `count`, `frequency` and `start_date`."""


class ScheduleAmbiguous(Invalid, code="schedule_ambiguous"):
    """Give `instalments` or `count`, `frequency` and `start_date`, not both."""


class InstalmentsDoNotSum(Invalid, code="instalments_do_not_sum"):
    """The instalments sum to {total}, but {due} is due on these invoices."""


class TooManyInstalments(Invalid, code="too_many_instalments"):
    """{count} instalments are more than {due} can be split into."""


class ScheduleTooLate(Invalid, code="schedule_too_late"):
    """The last instalment would fall due after the year 9999."""


class InvoiceTwice(Invalid, code="invoice_planned_twice"):
    """Invoice {invoice_id} is named twice."""


class InvoiceInPlan(Conflict, code="invoice_in_payment_plan"):
    """Invoice {invoice_id} is in an active payment plan already."""


class NothingToPlan(Conflict, code="nothing_to_plan"):
    """Nothing is due on invoice {invoice_id}."""


class SeveralCustomers(Invalid, code="several_customers"):
    """All invoices of a payment plan belong to one customer; {invoice_id} belongs to another."""


class SeveralCurrencies(Invalid, code="several_currencies"):
    """All invoices of a payment plan are in one currency; {invoice_id} is in {currency}."""
