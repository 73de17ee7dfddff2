"""What a tenant's template may say, and what it may not."""

import pytest

from services.notifier.templates.errors import TemplateWrong
from services.notifier.templates.language import MAX_OUTPUT_CHARACTERS, check, render
from services.notifier.templates.model import SAMPLE, Template, check_all, fill, fill_sample
from services.notifier.templates.system import system_templates


@pytest.mark.parametrize("template", system_templates(), ids=lambda template: template.template_stage)
def test_every_template_of_the_system_is_allowed_and_says_something(template: Template) -> None:
    check_all(subject=template.subject, html=template.html, text=template.text)
    rendered = fill(template, SAMPLE)

    assert "Kari" in rendered.text
    assert "Kari" in rendered.html
    assert "\n" not in rendered.subject
    assert "{" not in rendered.text + rendered.subject


@pytest.mark.parametrize(
    "source",
    [
        "{{ invoice.numbr }}",
        "{{ nothing }}",
        "{{ contact }}{{ customer.password }}",
        "{{ invoices.number }}",
        "{% for i in invoices %}{{ i.secret }}{% endfor %}",
        "{% if unknown %}x{% endif %}",
        "{{ invoice.number.upper }}",
    ],
)
def test_unknown_variables_are_refused_wherever_they_stand(source: str) -> None:
    assert check("text", source, html=False)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ invoice.__class__ }}",
        "{{ invoice['__class__'] }}",
        "{{ self }}",
        "{{ config }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ range(1000000000) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ 2 ** 10000000 }}",
        "{{ 'x'|center(1000000000) }}",
        "{{ '%1000000000d'|format(1) }}",
        "{{ 'a'.ljust(99999999) }}",
        "{% for a in invoices %}{% for b in invoices %}x{% endfor %}{% endfor %}",
        "{% for c in 'abc' %}x{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% macro m() %}x{% endmacro %}",
        "{% set x = 1 %}",
        "{% autoescape false %}{{ customer.name }}{% endautoescape %}",
        "{{ customer.name|safe }}",
        "{{ customer.name|attr('__class__') }}",
        "{% call x() %}{% endcall %}",
        "{% filter upper %}x{% endfilter %}",
        "{{ [1] }}",
        "{{ {'a': 1} }}",
        "{{ customer.name|map('upper') }}",
        "{{ " + "9" * 10_000 + " }}",
        "{{ 1 + }}",
        "{% if %}",
        "{{ (" * 500,
    ],
)
def test_whatever_could_reach_out_or_run_for_long_is_refused(source: str) -> None:
    assert check("html", source, html=True)


def test_every_mistake_is_named_at_once_with_its_field() -> None:
    with pytest.raises(TemplateWrong) as refused:
        check_all(subject="{{ a }}", html="{{ b.c }}", text="{{ range(9) }}")

    assert {error.field for error in refused.value.errors} == {"subject", "html", "text"}


def test_html_is_escaped_and_text_is_not() -> None:
    values = {**SAMPLE, "customer": {"name": "<script>alert('x')</script>"}}

    assert "<script>" not in render("{{ customer.name }}", values, html=True)
    assert render("{{ customer.name }}", values, html=False) == "<script>alert('x')</script>"


def test_a_subject_is_one_line_whatever_the_values_say() -> None:
    rendered = fill_sample(subject="A {{ customer.name }}", html="x", text="x")
    evil = {**SAMPLE, "customer": {"name": "B\r\nBcc: evil@example.com"}}

    assert rendered.subject == "A Nordlicht AS"
    assert " ".join(render("A {{ customer.name }}", evil, html=False).split()) == "A B Bcc: evil@example.com"


def test_a_condition_a_loop_and_filters_work() -> None:
    source = (
        "{% if invoice.days_overdue > 7 %}late{% else %}soon{% endif %}:"
        "{% for one in invoices %}{{ loop.index }}={{ one.number|lower }};{% endfor %}{{ contact.email|default('-') }}"
    )

    assert check("text", source, html=False) == []
    assert render(source, SAMPLE, html=False) == "late:1=inv-2026-0042;2=inv-2026-0047;kari@example.com"


def test_the_output_is_bounded() -> None:
    many = {**SAMPLE, "invoices": [{"number": "x" * 100_000}] * 100}
    assert MAX_OUTPUT_CHARACTERS < 100 * 100_000

    with pytest.raises(TemplateWrong):
        render("{% for one in invoices %}{{ one.number }}{% endfor %}", many, html=False)
