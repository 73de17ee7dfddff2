"""What can be done with templates, inside the caller's transaction."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

import asyncpg
import msgspec

from services.notifier.templates import model, store
from services.notifier.templates.errors import (
    TemplateInUse,
    TemplateNameTaken,
    TemplateReadOnly,
    TemplateUnknown,
    TooManyTemplates,
)
from services.notifier.templates.model import Template
from services.notifier.templates.system import SYSTEM_TENANT, system_templates
from shared.db import Conn

MAX_TEMPLATES = 200


async def get(conn: Conn, tenant_id: UUID, template_id: UUID) -> Template:
    """A template that the tenant can use; raises TemplateUnknown."""
    template = await store.find(conn, tenant_id, template_id)
    if template is None:
        raise TemplateUnknown(template_id=template_id)
    return template


async def create(conn: Conn, tenant_id: UUID, template: Template) -> Template:
    """Keep a new template, once it says nothing wrong."""
    model.check_all(subject=template.subject, html=template.html, text=template.text)
    if await store.count(conn, tenant_id) >= MAX_TEMPLATES:
        raise TooManyTemplates(limit=MAX_TEMPLATES)
    await _save(conn, tenant_id, template)
    return template


async def change(
    conn: Conn,
    tenant_id: UUID,
    template_id: UUID,
    fields: Mapping[str, object],
    *,
    check_version: Callable[[int], None],
    now: datetime,
) -> Template:
    """Change a template of the tenant's own; what is sent from now on says the new words."""
    before = await _lock_own(conn, tenant_id, template_id)
    check_version(before.version)
    after = msgspec.structs.replace(before, **fields)
    if after == before:
        return before
    model.check_all(subject=after.subject, html=after.html, text=after.text)
    after = msgspec.structs.replace(after, version=before.version + 1, updated_at=now)
    await _save(conn, tenant_id, after)
    return after


async def remove(conn: Conn, tenant_id: UUID, template_id: UUID, *, check_version: Callable[[int], None]) -> None:
    """Remove a template of the tenant's own that no schedule uses."""
    template = await _lock_own(conn, tenant_id, template_id)
    check_version(template.version)
    schedule = await store.schedule_using(conn, tenant_id, template_id)
    if schedule is not None:
        raise TemplateInUse(schedule=schedule)
    await store.delete(conn, tenant_id, template_id)


async def seed(conn: Conn) -> None:
    """Bring the system's templates in the database to the words of this version."""
    for template in system_templates():
        await store.save(conn, SYSTEM_TENANT, template)


async def _lock_own(conn: Conn, tenant_id: UUID, template_id: UUID) -> Template:
    template = await store.lock(conn, tenant_id, template_id)
    if template is None:
        await get(conn, tenant_id, template_id)
        raise TemplateReadOnly
    return template


async def _save(conn: Conn, tenant_id: UUID, template: Template) -> None:
    try:
        await store.save(conn, tenant_id, template)
    except asyncpg.UniqueViolationError as error:
        raise TemplateNameTaken(name=template.name, field="name") from error
