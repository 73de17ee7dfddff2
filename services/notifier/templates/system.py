"""The templates that every tenant has, one for each stage. Their ids never change."""

import importlib.resources
import re
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from services.notifier.templates.model import Stage, Template

SYSTEM_TENANT = UUID(int=0)
"""The rows of the system's templates stand under this tenant, which nobody can be."""
SINCE = datetime(2026, 1, 1, tzinfo=UTC)

NAMES: dict[Stage, str] = {
    "initial_send": "Invoice",
    "reminder": "Friendly reminder",
    "overdue_1": "Overdue, first notice",
    "overdue_2": "Overdue, second notice",
    "overdue_3": "Overdue, third notice",
    "final_notice": "Final notice",
    "receipt": "Payment receipt",
    "statement": "Statement of account",
    "plan_instalment": "Instalment due",
}


def template_id(stage: Stage) -> UUID:
    """The id of the system's template for a stage."""
    return uuid5(NAMESPACE_URL, f"https://arpilot.dev/templates/{stage}")


def system_templates() -> list[Template]:
    """All of them, read from the files beside this one."""
    return [_read(stage, name) for stage, name in NAMES.items()]


def _read(stage: Stage, name: str) -> Template:
    folder = importlib.resources.files("services.notifier.templates") / "system"
    subject, _, text = (folder / f"{stage}.txt").read_text(encoding="utf-8").partition("\n\n")
    return Template(
        id=template_id(stage),
        name=name,
        template_stage=stage,
        subject=subject.removeprefix("Subject: "),
        text=text,
        html=_html((folder / "frame.html").read_text(encoding="utf-8"), text),
        is_system=True,
        version=1,
        created_at=SINCE,
        updated_at=SINCE,
    )


def _html(frame: str, text: str) -> str:
    """The same words as HTML, so that both parts of a mail always say the same: paragraphs, a button for the link."""
    paragraphs = [_paragraph(part) for part in re.split(r"\n{2,}", text.strip())]
    return frame.replace("CONTENT", "\n".join(paragraphs))


def _paragraph(part: str) -> str:
    block = re.fullmatch(r"(\{% (?:if|for) .+? %\})\n(.+)\n(\{% end\w+ %\})", part, re.DOTALL)
    if block:
        return f"{block[1]}{_paragraph(block[2])}{block[3]}"
    link = re.fullmatch(r"(.+): (\{\{ invoice\.pay_url \}\})", part)
    if link:
        return f'<p><a class="button" href="{link[2]}">{link[1]}</a></p>'
    return "<p>" + part.replace("\n", "<br>\n") + "</p>"
