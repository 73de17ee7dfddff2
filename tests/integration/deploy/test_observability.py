"""The dashboard and the alerts ask only for what the services measure."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.harness import Client, System

DEPLOY = Path(__file__).parents[3] / "deploy"
# Prometheus adds these, and RabbitMQ measures these: they are not ours.
FOREIGN = re.compile(r"^(up|rabbitmq_\w+)$")
ADDED_LABELS = {"instance", "job", "le"}
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$service": ".*"}


def alerts() -> list[dict[str, Any]]:
    rules = yaml.safe_load((DEPLOY / "grafana/alerts.yaml").read_text())["groups"]
    assert isinstance(rules, list)
    return rules


def dashboard_queries() -> Iterator[tuple[str, str]]:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/arpilot.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"]
            for variable, value in VARIABLES.items():
                query = query.replace(variable, value)
            yield panel["title"], query


QUERIES = [
    *(pytest.param(rule["expr"], id=rule["alert"]) for group in alerts() for rule in group["rules"]),
    *(pytest.param(query, id=title) for title, query in dashboard_queries()),
]


def asked_for(query: str) -> dict[str, set[str]]:
    """The metrics of a query, each with the labels that it is chosen or grouped by."""
    found: dict[str, set[str]] = {}
    grouped: set[str] = set()

    def visit(node: object) -> None:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.update(node.modifier.labels)
        if isinstance(node, promql_parser.MatrixSelector):
            visit(node.vector_selector)
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name
            found.setdefault(node.name, set()).update(matcher.name for matcher in node.matchers.matchers)

    promql_parser.walk(promql_parser.parse(query), visit)
    assert found, query
    return {name: (labels | grouped) - ADDED_LABELS for name, labels in found.items()}


@pytest.fixture(scope="module")
async def measured(system: System) -> dict[str, set[str]]:
    """What `/metrics` offers after some work: names, and labels where there are any values."""
    client: Client = await system.client()
    await client.get("/v1/customers")
    answer = await client.get("/metrics")
    families = list(text_string_to_metric_families(answer.body.decode()))
    offered: dict[str, set[str]] = {}
    for family in families:
        for suffix in {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",)):
            offered[family.name + suffix] = set()
        for sample in family.samples:
            offered.setdefault(sample.name, set()).update(sample.labels)
    return offered


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_is_measured(measured: dict[str, set[str]], query: str) -> None:
    for name, labels in asked_for(query).items():
        if FOREIGN.match(name):
            continue
        assert name in measured
        if measured[name]:
            assert labels <= measured[name]


def test_each_alert_says_how_bad_it_is_and_what_happened() -> None:
    for group in alerts():
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("critical", "warning")
            assert rule["annotations"]["summary"]


def test_each_alert_is_explained_to_operators() -> None:
    text = (DEPLOY.parent / "docs/operations.md").read_text()

    assert [rule["alert"] for group in alerts() for rule in group["rules"] if f"`{rule['alert']}`" not in text] == []


def test_kubernetes_has_the_same_alerts() -> None:
    rule = yaml.safe_load((DEPLOY / "kubernetes/overlays/production/alerts.yaml").read_text())

    assert rule["spec"]["groups"] == alerts()
