"""What a change of an invoice makes of it: pure, with everything looked up beforehand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.invoices.issuing import errors
from services.invoices.issuing.model import HELD, Facts, currency_of, discount_of, new_line, reprice
from services.invoices.issuing.plain import given
from services.invoices.issuing.requests import InvoicePatch, LineCreate, LineItemsReplace, LinePatch, PricePatch
from services.invoices.lines.errors import LineUnpriced
from services.invoices.lines.model import Discount, Line, Terms
from services.invoices.settlement.errors import MoneyApplied
from services.invoices.settlement.model import Moment, Receivable, Status
from services.invoices.tax.model import TaxRate
from shared.errors import FieldError, InvalidFields
from shared.ids import uuid7
from shared.money import major

PLAIN = (
    "customer_name",
    "customer_address",
    "notes",
    "memo",
    "note_to_customer",
    "terms",
    "category",
    "project",
    "tax_rate",
    "adjustment_description",
    "due_date",
    "issue_date",
)
"""Fields that are taken over as they are."""

PRICING = frozenset(PricePatch.__struct_fields__) - {"tax_rate", "adjustment_description"} | {"line_items"}
BINDING = PRICING | {"customer_id", "currency", "amount_due", "external_payment_amount", "issue_date"}
"""Fields that a cancelled invoice no longer takes."""


def changed(invoice: Receivable, body: InvoicePatch, facts: Facts, *, moment: Moment) -> Receivable:
    """The invoice after a PATCH; what follows from its facts is not worked out yet."""
    fields = given(body)
    _refuse_cancelled(invoice, fields)
    after = _header(invoice, fields, facts)
    after = _repriced(after, fields, facts)
    after = _external(after, fields)
    return _with_status(after, fields, moment)


def relined(invoice: Receivable, body: LineItemsReplace, facts: Facts) -> Receivable:
    """The invoice with all its lines, tax rates and discounts replaced."""
    if invoice.status == "cancelled":
        raise errors.InvoiceCancelled
    fields = given(body)
    kept = {line.id for line in body.line_items if line.id}
    emptied = msgspec.structs.replace(
        invoice,
        lines=tuple(line for line in invoice.lines if line.id in kept),
        tax_rate_ids=(),
        taxes=(),
        given_tax_cents=None,
        discount_type="none",
        discount_value=Discount().value,
    )
    return _repriced(_header(emptied, fields, facts), fields, facts)


def issued(invoice: Receivable, *, now: datetime) -> Receivable:
    """A draft made binding."""
    assert invoice.status == "draft", invoice.status
    return msgspec.structs.replace(invoice, status="pending", published_at=now)


def voided(invoice: Receivable) -> Receivable:
    """The invoice cancelled; money on it must be taken off first."""
    if invoice.status == "cancelled":
        raise errors.InvoiceCancelled
    if invoice.matched_cents:
        raise errors.HasPayments
    if invoice.credited_cents:
        raise errors.HasCredits
    return msgspec.structs.replace(invoice, status="cancelled", status_pinned=False)


def written_off(invoice: Receivable) -> Receivable:
    """The invoice with all that is due given up."""
    refuse_unless_due(invoice)
    return msgspec.structs.replace(invoice, written_off_cents=invoice.written_off_cents + invoice.amount_due_cents)


def refuse_unless_due(invoice: Receivable) -> None:
    """Raise unless the invoice is issued and something is due on it."""
    refuse_unless_issued(invoice)
    if invoice.amount_due_cents == 0:
        raise errors.NothingDue


def refuse_unless_issued(invoice: Receivable) -> None:
    """Raise for a draft and for a cancelled invoice."""
    if invoice.status == "draft":
        raise errors.StillDraft
    if invoice.status == "cancelled":
        raise errors.InvoiceCancelled


def pinned(invoice: Receivable, status: Status | None, *, now: datetime) -> Receivable:
    """The invoice with a status that sticks, or with one that follows from the facts again."""
    if status is None:
        return msgspec.structs.replace(invoice, status_pinned=False)
    if status == "cancelled":
        return voided(invoice)
    if invoice.status == "cancelled":
        raise errors.InvoiceCancelled
    if status == "draft":
        return _stay_draft(invoice)
    binding = issued(invoice, now=now) if invoice.status == "draft" else invoice
    return msgspec.structs.replace(binding, status=status, status_pinned=True)


def clone(
    invoice: Receivable, facts: Facts, *, moment: Moment, invoice_id: UUID, fields: Mapping[str, Any]
) -> Receivable:
    """A new draft that bills the same; nothing is paid on it and it has no number yet."""
    recipient = facts.recipient(fields["customer_id"])
    return Receivable(
        tenant_id=invoice.tenant_id,
        id=invoice_id,
        version=1,
        invoice_number=None,
        customer_id=recipient.customer_id,
        customer_name=recipient.display_name,
        customer_address=recipient.address,
        email=recipient.email,
        issue_date=fields["issue_date"],
        due_date=fields["due_date"],
        project=fields.get("project") or invoice.project,
        status="draft",
        amount_due_cents=invoice.amount_cents,
        lines=tuple(msgspec.structs.replace(line, id=uuid7()) for line in invoice.lines),
        created_at=moment.now,
        updated_at=moment.now,
        **{name: getattr(invoice, name) for name in COPIED},
    )


COPIED = (
    "currency",
    "by_lines",
    "tax_type",
    "tax_rate_ids",
    "taxes",
    "tax_rate",
    "given_tax_cents",
    "discount_type",
    "discount_value",
    "adjustment_description",
    "subtotal_cents",
    "discount_cents",
    "tax_cents",
    "adjustment_cents",
    "amount_cents",
    "notes",
    "memo",
    "note_to_customer",
    "terms",
    "tags",
    "category",
    "exclude_from_autopay",
)
"""What a clone takes over."""


def _refuse_cancelled(invoice: Receivable, fields: Mapping[str, Any]) -> None:
    if invoice.status == "cancelled" and (fields.keys() & BINDING or fields.get("status", "cancelled") != "cancelled"):
        raise errors.InvoiceCancelled


def _header(invoice: Receivable, fields: Mapping[str, Any], facts: Facts) -> Receivable:
    values: dict[str, Any] = {name: fields[name] for name in PLAIN if name in fields}
    if "tags" in fields:
        values["tags"] = tuple(dict.fromkeys(fields["tags"] or ()))
    if "exclude_from_autopay" in fields:
        values["exclude_from_autopay"] = bool(fields["exclude_from_autopay"])
    return msgspec.structs.replace(
        invoice, **(_customer(invoice, fields, facts) | _identity(invoice, fields, facts) | values)
    )


def _customer(invoice: Receivable, fields: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    customer_id = fields.get("customer_id", invoice.customer_id)
    if customer_id == invoice.customer_id:
        return {}
    if invoice.settled_cents:
        raise errors.CustomerFixed(field="customer_id")
    recipient = facts.recipient(customer_id)
    return {
        "customer_id": customer_id,
        "customer_name": recipient.display_name,
        "customer_address": recipient.address,
        "email": recipient.email,
    }


def _identity(invoice: Receivable, fields: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    number, currency = fields.get("invoice_number"), fields.get("currency")
    values = {}
    if number is not None and number != invoice.invoice_number:
        if invoice.invoice_number is not None:
            raise errors.NumberFixed(field="invoice_number")
        values["invoice_number"] = number
    if currency is not None and currency != invoice.currency:
        if invoice.status != "draft":
            raise errors.CurrencyFixed(field="currency")
        values["currency"] = currency_of(currency, facts.settings)
    return values


def _repriced(invoice: Receivable, fields: Mapping[str, Any], facts: Facts) -> Receivable:
    if not fields.keys() & PRICING:
        return invoice
    lines = _lines(invoice, fields["line_items"], facts) if "line_items" in fields else invoice.lines
    by_lines = bool(lines)
    amount_cents = fields.get("amount")
    if not by_lines and amount_cents is None:
        if invoice.by_lines:
            raise errors.AmountOrLinesRequired(field="line_items")
        amount_cents = invoice.amount_cents
    return reprice(
        invoice,
        lines,
        _terms(invoice, fields, facts),
        amount_cents=amount_cents,
        discount_cents=fields.get("discount_amount"),
        by_lines=by_lines,
    )


def _terms(invoice: Receivable, fields: Mapping[str, Any], facts: Facts) -> Terms:
    stored = invoice.price_terms
    rates = stored.rates
    if "tax_rate_ids" in fields:
        rates = _rates(stored.rates, fields["tax_rate_ids"] or (), facts)
    return Terms(
        tax_type=fields.get("tax_type", invoice.tax_type) or "summary",
        rates=rates,
        given_tax_cents=fields.get("tax_amount", stored.given_tax_cents),
        discount=_discount(stored.discount, fields),
        adjustment_cents=fields.get("adjustment_amount", invoice.adjustment_cents) or 0,
    )


def _rates(stored: Sequence[TaxRate], rate_ids: Sequence[UUID], facts: Facts) -> tuple[TaxRate, ...]:
    known = {rate.id: rate for rate in stored}
    return tuple(
        known.get(rate_id) or facts.rate(rate_id, f"tax_rate_ids[{i}]")
        for i, rate_id in enumerate(dict.fromkeys(rate_ids))
    )


def _discount(stored: Discount, fields: Mapping[str, Any]) -> Discount:
    if not fields.keys() & {"discount_type", "discount_value", "discount_amount"}:
        return stored
    if "discount_type" not in fields and "discount_value" not in fields:
        return discount_of(None, None, fields["discount_amount"])
    kind = fields.get("discount_type", stored.type if stored.type != "none" else None)
    fallback = stored.value if kind == stored.type and "discount_amount" not in fields else None
    return discount_of(kind, fields.get("discount_value", fallback), fields.get("discount_amount"))


def _lines(invoice: Receivable, bodies: Sequence[LinePatch], facts: Facts) -> tuple[Line, ...]:
    """The lines after an update: unmentioned ones stay, `_destroy` removes, those without an id are added."""
    known = {line.id: line for line in invoice.lines}
    for i, body in enumerate(bodies):
        if body.id is not None and body.id not in known:
            raise errors.LineUnknown(line_item_id=body.id, field=f"line_items[{i}].id")
        if body.destroy:
            del known[_destroyed(body, i)]
            continue
        line = _added(body, i, facts) if body.id is None else _updated(known[body.id], body, i, facts)
        known[line.id] = line
    return tuple(msgspec.structs.replace(line, position=i) for i, line in enumerate(known.values()))


def _destroyed(body: LinePatch, position: int) -> UUID:
    if body.id is None:
        raise InvalidFields([FieldError(field=f"line_items[{position}].id", message="is required with `_destroy`")])
    return body.id


def _added(body: LinePatch, position: int, facts: Facts) -> Line:
    fields = {name: value for name, value in _line_fields(body).items() if value is not None}
    if "description" not in fields:
        raise InvalidFields([FieldError(field=f"line_items[{position}].description", message="is required")])
    return new_line(LineCreate(**fields), position, facts)


def _updated(line: Line, body: LinePatch, position: int, facts: Facts) -> Line:
    fields = _line_fields(body)
    path = f"line_items[{position}]."
    values = {name: fields[name] for name in LINE_PLAIN if name in fields}
    values |= _line_amount(line, fields) | _line_rate(line, fields, facts, path) | _line_discount(line, fields, path)
    if fields.get("product_id"):
        facts.product(fields["product_id"], f"{path}product_id")
    if fields.get("account_id"):
        facts.revenue_account(fields["account_id"], f"{path}account_id")
    if "taxable" in fields:
        values["taxable"] = fields["taxable"] is not False
    after = msgspec.structs.replace(line, **values)
    if after.unit_price is None and after.given_amount_cents is None:
        raise LineUnpriced(field=f"{path}unit_price")
    return after


LINE_PLAIN = ("description", "long_description", "quantity", "unit", "unit_price", "product_id", "account_id")


def _line_fields(body: LinePatch) -> dict[str, Any]:
    return {name: value for name, value in given(body).items() if name not in {"id", "destroy"}}


def _line_amount(line: Line, fields: Mapping[str, Any]) -> dict[str, Any]:
    """A new quantity or price makes an amount that was given before meaningless."""
    if "line_amount" in fields:
        return {"given_amount_cents": fields["line_amount"]}
    if fields.keys() & {"quantity", "unit_price"} and fields.get("unit_price", line.unit_price) is not None:
        return {"given_amount_cents": None}
    return {}


def _line_rate(line: Line, fields: Mapping[str, Any], facts: Facts, path: str) -> dict[str, Any]:
    rate_id = fields.get("tax_rate_id", line.tax_rate_id)
    if rate_id == line.tax_rate_id:
        return {}
    if rate_id is None:
        return {"tax_rate_id": None, "tax_rate": None, "tax_name": None}
    rate = facts.rate(rate_id, f"{path}tax_rate_id")
    return {"tax_rate_id": rate.id, "tax_rate": rate.rate, "tax_name": rate.name}


def _line_discount(line: Line, fields: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not fields.keys() & {"discount_type", "discount_value"}:
        return {}
    kind = fields.get("discount_type", line.discount_type if line.discount_type != "none" else None)
    discount = discount_of(kind, fields.get("discount_value", line.discount_value), None, field=path)
    return {"discount_type": discount.type, "discount_value": discount.value}


def _external(invoice: Receivable, fields: Mapping[str, Any]) -> Receivable:
    due_cents, external_cents = fields.get("amount_due"), fields.get("external_payment_amount")
    if due_cents is None and external_cents is None:
        return invoice
    amount = major(invoice.amount_cents)
    if due_cents is not None and due_cents > invoice.amount_cents:
        raise errors.AmountDueTooLarge(amount_due=major(due_cents), amount=amount, field="amount_due")
    if external_cents is not None and external_cents > invoice.amount_cents:
        raise errors.ExternalTooLarge(external=major(external_cents), amount=amount, field="external_payment_amount")
    if due_cents is None:
        return msgspec.structs.replace(invoice, external_payment_cents=int(external_cents or 0))
    return _external_of_due(invoice, due_cents, external_cents)


def _external_of_due(invoice: Receivable, due_cents: int, external_cents: int | None) -> Receivable:
    follows_cents = invoice.amount_cents - invoice.settled_cents - due_cents
    if follows_cents < 0:
        raise MoneyApplied(settled=major(invoice.settled_cents), field="amount_due")
    if external_cents is not None and external_cents != follows_cents:
        raise errors.AmountDueInconsistent(
            amount_due=major(due_cents), external=major(external_cents), field="amount_due"
        )
    return msgspec.structs.replace(invoice, external_payment_cents=follows_cents)


def _with_status(invoice: Receivable, fields: Mapping[str, Any], moment: Moment) -> Receivable:
    status: Status | None = fields.get("status")
    if status is None or (status == "cancelled" and invoice.status == "cancelled"):
        return invoice
    if status == "cancelled":
        return voided(invoice)
    if status == "draft":
        return _stay_draft(invoice)
    binding = issued(invoice, now=moment.now) if invoice.status == "draft" else invoice
    held = msgspec.structs.replace(binding, hand_status=HELD.get(status))
    if status == "paid" and not fields.keys() & {"amount_due", "external_payment_amount"}:
        return _paid_outside(held)
    return held


def _paid_outside(invoice: Receivable) -> Receivable:
    """Marked as paid: what is due was paid outside."""
    external_cents = invoice.amount_cents - invoice.settled_cents
    if external_cents < 0:
        raise MoneyApplied(settled=major(invoice.settled_cents))
    return msgspec.structs.replace(invoice, external_payment_cents=external_cents)


def _stay_draft(invoice: Receivable) -> Receivable:
    if invoice.status != "draft":
        raise errors.NotDraftAgain(field="status")
    return invoice
