"""The clock in: every process takes up mails that are due; one gives up those that a dead process may have sent.

A mail is sent in four steps, each in a transaction of its own where it writes:
1. take the turn (`pending` → `sending`): another process takes it up again when this one dies before step 3;
2. ask the invoices service what the mail is about, fill in the template, connect to the mail server;
3. record that the message is about to go (`handed_over_at`), which only succeeds while it is still this process's turn;
4. hand it over, record `sent` with its event.
A process that dies between 3 and the end of 4 leaves a mail that may or may not have left. It is never sent again by
itself: it becomes `failed` with `outcome_unknown`, and a person decides.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from uuid import UUID, uuid4

import aiosmtplib
import msgspec
import structlog
from prometheus_client import Counter

from services.notifier.communications import api, model, store
from services.notifier.communications.events import (
    COMMUNICATION_FAILED,
    COMMUNICATION_SENT,
    Communication,
    announce,
)
from services.notifier.communications.model import (
    REMINDERS,
    STAGE_OF,
    Company,
    Letter,
    LetterInvoice,
    StatementLetter,
    Turn,
)
from services.notifier.config import NotifierConfig
from services.notifier.mail import outcomes
from services.notifier.mail.message import AddressWrong, Attachment, Mail, build, message_id
from services.notifier.mail.office import Offices
from services.notifier.mail.outcomes import Failure, next_attempt
from services.notifier.mail.postoffice import Undeliverable
from services.notifier.recipients import store as recipients
from services.notifier.recipients.model import Tenant
from services.notifier.settings import store as settings_store
from services.notifier.settings.model import NotificationSettings
from services.notifier.templates import store as templates
from services.notifier.templates.errors import TemplateWrong
from services.notifier.templates.model import Rendered, Stage, Template, fill
from services.notifier.templates.system import template_id
from shared import clock, links, outbox
from shared.app import Runtime
from shared.db import EXHAUSTED, LOST, Conn, DatabaseAway
from shared.errors import Unavailable
from shared.http.client import ServiceRefused
from shared.jobs import Job
from shared.stopping import pause

log = structlog.get_logger("mail")

MAILS = Counter(
    "arpilot_mails_total", "Turns of mails that ended: sent, failed, cancelled, or pending again", ("status",)
)

MAX_ATTACHMENTS = 20
KEEP_COUNTS = timedelta(days=30)
AWAY_SECONDS = 5.0


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What our own tables know for a mail."""

    tenant: Tenant
    settings: NotificationSettings
    template: Template | None
    customer_name: str
    timezone: str
    unsubscribed: bool
    copies: tuple[str, ...]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A mail that can go."""

    mail: Mail
    rendered: Rendered


class NotWanted(Exception):
    """The mail is not to be sent any more."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def send_mails(runtime: Runtime, stopping: asyncio.Event) -> None:
    """Send what is due until told to stop; a mail in work is finished first."""
    config = runtime.config
    assert isinstance(config, NotifierConfig)
    while not stopping.is_set():
        try:
            sent = await send_due(runtime, limit=config.senders)
        except (DatabaseAway, *LOST, *EXHAUSTED) as error:
            log.warning("mails wait for the database", reason=str(error))
            await pause(AWAY_SECONDS, stopping)
        except Exception as error:
            log.error("mails could not be taken up", exc_info=error)
            await pause(AWAY_SECONDS, stopping)
        else:
            if not sent:
                await pause(config.poll_seconds, stopping)


async def send_due(runtime: Runtime, *, limit: int) -> int:
    """Take up to `limit` mails whose time has come and bring each to an end; says how many."""
    async with runtime.database.transaction() as conn:
        turns = await store.take_turns(conn, uuid4(), limit=limit, now=clock.now())
    await asyncio.gather(*(_send(runtime, turn) for turn in turns))
    return len(turns)


async def _send(runtime: Runtime, turn: Turn) -> None:
    try:
        ready = await _prepare(runtime, turn)
        await _hand_over(runtime, turn, ready)
    except NotWanted as finding:
        await _finish(runtime, turn, status="cancelled", cancel_reason=finding.reason, next_attempt_at=None)
    except (DatabaseAway, *LOST, *EXHAUSTED) as error:
        log.warning("a mail waits for the database", communication=str(turn.id), reason=str(error))
    except Exception as error:  # noqa: BLE001 - whatever stops one mail must not stop the others
        await _fail(runtime, turn, _failure(error))


def _failure(error: Exception) -> Failure:
    """What went wrong before anything left."""
    match error:
        case AddressWrong():
            return Failure(kind="permanent", code="address_invalid", reason=str(error))
        case TemplateWrong():
            return Failure(kind="permanent", code="template_invalid", reason=error.detail)
        case Unavailable() | ServiceRefused():
            return Failure(kind="temporary", code="documents_unavailable", reason=str(error))
        case Undeliverable():
            return error.failure
        case _:
            log.error("a mail could not be made", exc_info=error)
            return Failure(kind="temporary", code="internal_error", reason=type(error).__name__)


async def _prepare(runtime: Runtime, turn: Turn) -> Ready:
    """All that can be known and made before the mail server is asked."""
    async with runtime.database.connection() as conn:
        ground = await _ground(conn, turn)
    if turn.kind in REMINDERS and ground.unsubscribed:
        raise NotWanted("unsubscribed")
    if turn.kind == "notice":
        words = Rendered(subject=turn.facts["subject"], text=turn.facts["text"], html="")
        return Ready(mail=_mail(runtime, turn, ground, words, "ARPilot", (), None), rendered=words)
    if turn.kind == "statement":
        return await _prepare_statement(runtime, turn, ground)
    letter = await _letter(runtime, turn)
    wanted = model.still_wanted(turn.kind, letter.invoices)
    if isinstance(wanted, str):
        raise NotWanted(wanted)
    link = _unsubscribe_url(runtime, turn, letter.origin) if turn.kind in REMINDERS else None
    rendered = _words(turn, ground, letter.company, wanted, turn.facts, link)
    attachments = await _attachments(runtime, turn, wanted)
    sender = ground.settings.sender_name or letter.company.name
    return Ready(mail=_mail(runtime, turn, ground, rendered, sender, attachments, link), rendered=rendered)


async def _ground(conn: Conn, turn: Turn) -> Ground:
    tenant = await recipients.tenant(conn, turn.tenant_id)
    settings = await settings_store.find(conn, turn.tenant_id)
    own = settings.reply_to or tenant.email
    return Ground(
        tenant=tenant,
        settings=settings,
        template=await _template(conn, turn),
        customer_name=await recipients.customer_name(conn, turn.tenant_id, turn.customer_id) or turn.to_name,
        timezone=await recipients.timezone_of(conn, turn.tenant_id, turn.customer_id),
        unsubscribed=bool(await recipients.unsubscribed(conn, turn.tenant_id, [turn.to_email])),
        copies=(*turn.cc, own) if turn.cc_self and own else tuple(turn.cc),
    )


async def _template(conn: Conn, turn: Turn) -> Template | None:
    """The one that was asked for; the system's of its stage where that is gone."""
    if turn.template_id is not None:
        found = await templates.find(conn, turn.tenant_id, turn.template_id)
        if found is not None:
            return found
    stage: Stage | None = turn.template_stage or STAGE_OF.get(turn.kind)
    return await templates.find(conn, turn.tenant_id, template_id(stage)) if stage else None


async def _letter(runtime: Runtime, turn: Turn) -> Letter:
    """What the owner of the invoices knows now: a copy may be seconds old, and a mail stays for ever."""
    ids = ",".join(str(invoice_id) for invoice_id in turn.invoice_ids)
    found = await runtime.internal.get(
        "invoices", "/internal/letters", LetterAnswer, tenant_id=turn.tenant_id, invoice_ids=ids
    )
    if found is None:
        raise NotWanted("invoice_deleted")
    return found.data


class LetterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the invoices service."""

    data: Letter


def _words(
    turn: Turn,
    ground: Ground,
    company: Company,
    invoices: Sequence[LetterInvoice],
    facts: Mapping[str, str],
    unsubscribe_url: str | None,
) -> Rendered:
    assert ground.template is not None, f"no template for {turn.kind}"
    return fill(
        ground.template,
        model.values(
            company,
            invoices,
            customer_name=ground.customer_name,
            to_name=turn.to_name,
            to_email=turn.to_email,
            company_email=ground.settings.reply_to or ground.tenant.email or "",
            today=clock.today(ground.timezone),
            facts=facts,
            unsubscribe_url=unsubscribe_url,
        ),
    )


async def _prepare_statement(runtime: Runtime, turn: Turn, ground: Ground) -> Ready:
    """A statement is of the moment it is sent, whenever it was asked for."""
    asked = {
        "tenant_id": turn.tenant_id,
        "customer_id": turn.customer_id,
        "start": turn.facts["start"],
        "end": turn.facts["end"],
    }
    letter = await runtime.internal.get("invoices", "/internal/statements", StatementAnswer, **asked)
    pdf = await runtime.internal.download("invoices", "/internal/statements/pdf", **asked)
    if letter is None or pdf is None:
        raise NotWanted("customer_deleted")
    start, end = date.fromisoformat(turn.facts["start"]), date.fromisoformat(turn.facts["end"])
    facts = {
        "statement_start": model.day(start),
        "statement_end": model.day(end),
        "statement_balance": model.money(letter.data.balance, letter.data.currency),
    }
    rendered = _words(turn, ground, letter.data.company, (), facts, None)
    attachment = Attachment(filename=f"statement-{start}-{end}.pdf", content_type="application/pdf", content=pdf)
    sender = ground.settings.sender_name or letter.data.company.name
    return Ready(mail=_mail(runtime, turn, ground, rendered, sender, (attachment,), None), rendered=rendered)


class StatementAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of the invoices service about a statement."""

    data: StatementLetter


async def _attachments(runtime: Runtime, turn: Turn, invoices: Sequence[LetterInvoice]) -> list[Attachment]:
    """The invoices as PDF; a receipt needs none."""
    if turn.kind == "receipt":
        return []
    found = []
    for invoice in invoices[:MAX_ATTACHMENTS]:
        pdf = await runtime.internal.download(
            "invoices", f"/internal/invoices/{invoice.id}/pdf", tenant_id=turn.tenant_id
        )
        if pdf is None:
            raise NotWanted("invoice_deleted")
        name = f"{invoice.invoice_number or 'invoice'}.pdf"
        found.append(Attachment(filename=name, content_type="application/pdf", content=pdf))
    return found


def _unsubscribe_url(runtime: Runtime, turn: Turn, origin: str) -> str:
    token = links.sign(runtime.settings.secret_key, api.UNSUBSCRIBE, turn.tenant_id, turn.id)
    return f"{origin}/unsubscribe/{token}"


def _mail(
    runtime: Runtime,
    turn: Turn,
    ground: Ground,
    words: Rendered,
    sender_name: str,
    attachments: Sequence[Attachment],
    unsubscribe_url: str | None,
) -> Mail:
    config = runtime.config
    assert isinstance(config, NotifierConfig)
    return Mail(
        communication_id=turn.id,
        sender_name=sender_name,
        sender_address=config.mail_from,
        reply_to=ground.settings.reply_to or ground.tenant.email,
        to_name=turn.to_name,
        to_address=turn.to_email,
        cc=ground.copies,
        subject=words.subject,
        text=words.text,
        html=words.html or None,
        attachments=tuple(attachments),
        unsubscribe_url=unsubscribe_url,
    )


async def _hand_over(runtime: Runtime, turn: Turn, ready: Ready) -> None:
    message = build(ready.mail, at=clock.now())
    office = runtime.use(Offices).of(turn.tenant_id, live=await _is_live(runtime, turn.tenant_id))
    async with office.open_envelope(ready.mail.sender_address, ready.mail.recipients) as envelope:
        if not await _announce_hand_over(runtime, turn, ready):
            return
        try:
            await envelope.post(message)
        except aiosmtplib.SMTPResponseException as error:
            await _fail(runtime, turn, outcomes.failure_of(error))  # the server said no: nothing has left
            return
        except Exception as error:
            log.error("the outcome of a hand-over is unknown", communication=str(turn.id), exc_info=error)
            await _give_up(runtime, turn, "outcome_unknown", store.UNKNOWN)
            return
        note = "; ".join(envelope.refused)[:500]
        await _sent(runtime, turn, note)


async def _is_live(runtime: Runtime, tenant_id: UUID) -> bool:
    async with runtime.database.connection() as conn:
        return (await recipients.tenant(conn, tenant_id)).live


async def _announce_hand_over(runtime: Runtime, turn: Turn, ready: Ready) -> bool:
    """Step 3, with the day's limit; False where the mail must not go now."""
    now = clock.now()
    mail_id = message_id(turn.id, ready.mail.sender_address.rpartition("@")[2])
    async with runtime.database.transaction() as conn:
        tenant = await recipients.tenant(conn, turn.tenant_id)
        settings = await settings_store.find(conn, turn.tenant_id)
        today = clock.today(tenant.timezone, at=now)
        if await store.count_mail(conn, turn.tenant_id, today, settings.daily_limit):
            return await store.hand_over(conn, turn, ready.rendered, mail_id, now=now)
    log.warning("the daily limit is used up", tenant=str(turn.tenant_id), limit=settings.daily_limit)
    await _finish(
        runtime,
        turn,
        status="pending",
        attempts=turn.attempts - 1,
        next_attempt_at=model.next_day(now, tenant.timezone),
        error_code="daily_limit",
        error=f"the daily limit of {settings.daily_limit} mails is used up; it goes on tomorrow",
    )
    return False


async def _sent(runtime: Runtime, turn: Turn, note: str) -> None:
    now = clock.now()
    await _finish(
        runtime,
        turn,
        status="sent",
        sent_at=now,
        next_attempt_at=None,
        error_code="copy_refused" if note else None,
        error=note or None,
    )


async def _fail(runtime: Runtime, turn: Turn, failure: Failure) -> None:
    """Try again later, or give up and say so."""
    again = next_attempt(attempts=turn.attempts, now=clock.now(), dice=random.random())  # noqa: S311 - spreads load
    if failure.kind == "permanent" or again is None:
        await _give_up(runtime, turn, failure.code, failure.reason)
        return
    await _finish(
        runtime,
        turn,
        status="pending",
        next_attempt_at=again,
        handed_over_at=None,
        error_code=failure.code,
        error=failure.reason,
    )


async def _give_up(runtime: Runtime, turn: Turn, code: str, reason: str) -> None:
    await _finish(runtime, turn, status="failed", next_attempt_at=None, error_code=code, error=reason)


async def _finish(runtime: Runtime, turn: Turn, **changes: object) -> None:
    async with runtime.database.transaction() as conn:
        communication = await store.finish(conn, turn, changes, now=clock.now())
        if communication is not None:
            await _announce(conn, turn.tenant_id, communication)


async def _announce(conn: Conn, tenant_id: UUID, communication: Communication) -> None:
    MAILS.labels(communication.status).inc()
    kinds = {"sent": COMMUNICATION_SENT, "failed": COMMUNICATION_FAILED}
    kind = kinds.get(communication.status)
    if kind is not None:
        await outbox.put(conn, announce(kind, tenant_id, communication))


async def give_up_lost(runtime: Runtime) -> None:
    """What was in a dead process's hands is not sent twice."""
    async with runtime.database.transaction() as conn:
        for tenant_id, communication in await store.lost(conn, now=clock.now(), limit=100):
            log.error("the outcome of a hand-over is unknown", communication=str(communication.id))
            await _announce(conn, tenant_id, communication)


async def forget_counts(runtime: Runtime) -> None:
    """Remove counts of days long past."""
    async with runtime.database.transaction() as conn:
        await store.forget_counts(conn, (clock.now() - KEEP_COUNTS).date())


WORKERS = (send_mails,)
JOBS = (
    Job("give_up_lost_mails", every_seconds=10, run=give_up_lost),
    Job("forget_mail_counts", every_seconds=86_400, run=forget_counts),
)
