"""HTTP: email templates."""

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from services.notifier.patching import given
from services.notifier.templates import actions, model, store
from services.notifier.templates.errors import (
    TemplateInUse,
    TemplateNameTaken,
    TemplateReadOnly,
    TemplateUnknown,
    TemplateWrong,
    TooManyTemplates,
)
from services.notifier.templates.model import Rendered, Stage, Template
from shared.http.bodies import Body
from shared.http.calls import Call
from shared.http.pages import PageQuery
from shared.http.routes import Route
from shared.ids import uuid7

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Subject = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"\S")]
Source = Annotated[str, Meta(min_length=1, max_length=200_000, pattern=r"\S", description="a template, docs/email.md")]


class TemplateCreate(Body, frozen=True, kw_only=True):
    """A new template."""

    name: Name
    template_stage: Stage = "initial_send"
    subject: Subject
    html: Source
    text: Source


class TemplatePatch(Body, frozen=True, kw_only=True):
    """What to change of a template."""

    name: Name | UnsetType = UNSET
    template_stage: Stage | UnsetType = UNSET
    subject: Subject | UnsetType = UNSET
    html: Source | UnsetType = UNSET
    text: Source | UnsetType = UNSET


class TemplatePreview(Body, frozen=True, kw_only=True):
    """Texts to look at before they are saved, or a template with some of them replaced."""

    template_id: UUID | None = None
    subject: Subject | None = None
    html: Source | None = None
    text: Source | None = None


class TemplateQuery(PageQuery, frozen=True, kw_only=True):
    """Which templates."""

    template_stage: Annotated[
        list[Stage | Literal["any"]], Meta(description="`initial_send` by default: what is fit for `send`; or `any`")
    ] = msgspec.field(default_factory=lambda: ["initial_send"])
    type: Annotated[Literal["email"], Meta(description="`email`")] = "email"
    is_system: Annotated[bool, Meta(description="only the system's, or only the tenant's own")] | None = None


class KnownTemplate(msgspec.Struct, frozen=True, kw_only=True):
    """What another service needs to know of a template."""

    id: UUID
    template_stage: Stage


class KnownTemplateQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose template."""

    tenant_id: UUID


async def list_templates(call: Call[None, TemplateQuery]) -> web.StreamResponse:
    """List templates fit for `send`: the tenant's own and the system's."""
    wanted = call.query.template_stage
    stages = None if "any" in wanted else [stage for stage in wanted if stage != "any"]
    async with call.connection() as conn:
        return call.page(
            await store.page(conn, call.caller.tenant_id, call.query, stages=stages, is_system=call.query.is_system)
        )


async def create_template(call: Call[TemplateCreate, None]) -> web.StreamResponse:
    """Create a template. Unknown variables and all that a template may not do are refused."""
    template = Template(
        id=uuid7(), **given(call.body), is_system=False, version=1, created_at=call.now, updated_at=call.now
    )
    async with call.transaction() as conn:
        template = await actions.create(conn, call.caller.tenant_id, template)
        return call.created(template, version=template.version)


async def get_template(call: Call[None, None]) -> web.StreamResponse:
    """Get a template."""
    async with call.connection() as conn:
        template = await actions.get(conn, call.caller.tenant_id, call.id("template_id"))
    return call.reply(template, version=template.version)


async def change_template(call: Call[TemplatePatch, None]) -> web.StreamResponse:
    """Change a template of your own. Mails that are not sent yet go out with the new words."""
    async with call.transaction() as conn:
        template = await actions.change(
            conn,
            call.caller.tenant_id,
            call.id("template_id"),
            given(call.body),
            check_version=call.check_if_match,
            now=call.now,
        )
        return call.reply(template, version=template.version)


async def delete_template(call: Call[None, None]) -> web.StreamResponse:
    """Delete a template of your own. Mails already scheduled with it go out by the system's template of its stage."""
    async with call.transaction() as conn:
        await actions.remove(conn, call.caller.tenant_id, call.id("template_id"), check_version=call.check_if_match)
        return call.deleted()


async def preview(call: Call[TemplatePreview, None]) -> web.StreamResponse:
    """See what texts, or a template, look like with made-up values."""
    subject, html, text = call.body.subject, call.body.html, call.body.text
    if call.body.template_id is not None:
        async with call.connection() as conn:
            template = await actions.get(conn, call.caller.tenant_id, call.body.template_id)
        subject, html, text = subject or template.subject, html or template.html, text or template.text
    subject, html, text = subject or "-", html or "-", text or "-"
    model.check_all(subject=subject, html=html, text=text)
    return call.reply(model.fill_sample(subject=subject, html=html, text=text))


async def known_template(call: Call[None, KnownTemplateQuery]) -> web.StreamResponse:
    """Whether a tenant can use a template."""
    async with call.connection() as conn:
        template = await actions.get(conn, call.query.tenant_id, call.id("template_id"))
    return call.reply(KnownTemplate(id=template.id, template_stage=template.template_stage))


ALL = "/v1/templates"
ONE = "/v1/templates/{template_id}"
READ, WRITE = "invoices:read", "invoices:write"
WRONG = (TemplateWrong, TemplateNameTaken)
CHANGING = (TemplateUnknown, TemplateReadOnly, *WRONG)

ROUTES = (
    Route("GET", ALL, list_templates, scope=READ, query=TemplateQuery, returns=Template, many=True),
    Route(
        "POST",
        ALL,
        create_template,
        scope=WRITE,
        body=TemplateCreate,
        returns=Template,
        status=201,
        refuses=(*WRONG, TooManyTemplates),
    ),
    Route(
        "POST",
        "/v1/templates/preview",
        preview,
        scope=READ,
        body=TemplatePreview,
        returns=Rendered,
        refuses=(TemplateUnknown, TemplateWrong),
    ),
    Route("GET", ONE, get_template, scope=READ, returns=Template, refuses=(TemplateUnknown,)),
    Route("PATCH", ONE, change_template, scope=WRITE, body=TemplatePatch, returns=Template, refuses=CHANGING),
    Route("PUT", ONE, change_template, scope=WRITE, body=TemplatePatch, returns=Template, refuses=CHANGING),
    Route("DELETE", ONE, delete_template, scope=WRITE, refuses=(TemplateUnknown, TemplateReadOnly, TemplateInUse)),
    Route(
        "GET",
        "/internal/templates/{template_id}",
        known_template,
        internal=True,
        query=KnownTemplateQuery,
        returns=KnownTemplate,
        refuses=(TemplateUnknown,),
    ),
)
