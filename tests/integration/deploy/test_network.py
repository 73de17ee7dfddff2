"""Who may talk to whom in the cluster, read out of the network policies as Kubernetes reads them."""

from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from services import catalog
from tests.integration.deploy.test_manifests import OVERLAYS, Manifest, of_kind, render

Labels = dict[str, str]
POSTGRES = {"cnpg.io/cluster": "arpilot-postgres"}
RABBITMQ = {"app.kubernetes.io/name": "arpilot-rabbitmq"}
STRANGER = {"app.kubernetes.io/name": "somebody-else"}
WORLD, WORLD_6, PRIVATE, METADATA = "93.184.216.34", "2606:2800:220:1::1", "10.1.2.3", "169.254.169.254"


def ours(component: str) -> Labels:
    service = {"arpilot.io/metrics": "true"} if component in catalog.NAMES else {}
    return {"app.kubernetes.io/name": "arpilot", "app.kubernetes.io/component": component, **service}


@pytest.fixture(scope="module", params=OVERLAYS)
def policies(request: pytest.FixtureRequest) -> list[Manifest]:
    return of_kind(render(request.param), "NetworkPolicy")


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return wanted and all(labels.get(each["key"]) in each["values"] for each in expressions)


def names(peer: dict[str, Any], other: Labels | str) -> bool:
    """Whether a peer of a rule is this pod of our namespace, or this address outside."""
    if isinstance(other, str):
        return "ipBlock" in peer and _holds(peer["ipBlock"], other)
    return "podSelector" in peer and "namespaceSelector" not in peer and selects(peer["podSelector"], other)


def _holds(block: dict[str, Any], address: str) -> bool:
    inside = [ip_address(address) in ip_network(cidr) for cidr in (block["cidr"], *block.get("except", ()))]
    return inside[0] and not any(inside[1:])


def opens(ports: list[dict[str, Any]] | None, port: int) -> bool:
    return ports is None or any(each["port"] <= port <= each.get("endPort", each["port"]) for each in ports)


def permits(policies: list[Manifest], way: str, pod: Labels, other: Labels | str, port: int) -> bool:
    """What `way` (Ingress or Egress) says of a pod that talks with another one or with an address."""
    about = [each["spec"] for each in policies if selects(each["spec"]["podSelector"], pod)]
    about = [spec for spec in about if way in spec["policyTypes"]]
    peers = {"Ingress": "from", "Egress": "to"}[way]
    return not about or any(
        (peers not in rule or any(names(peer, other) for peer in rule[peers])) and opens(rule.get("ports"), port)
        for spec in about
        for rule in spec.get(way.lower(), [])
    )


def reaches(policies: list[Manifest], source: Labels, target: Labels, port: int) -> bool:
    there = permits(policies, "Egress", source, target, port)
    return there and permits(policies, "Ingress", target, source, port)


@pytest.mark.parametrize("service", catalog.NAMES)
def test_a_service_reaches_the_others_and_its_servers_and_the_gateway_reaches_it(
    policies: list[Manifest], service: str
) -> None:
    here = ours(service)

    assert reaches(policies, ours("gateway"), here, 8080)
    assert all(reaches(policies, here, ours(other), 8080) for other in catalog.NAMES)
    assert reaches(policies, here, POSTGRES, 5432)
    assert reaches(policies, here, RABBITMQ, 5672)
    assert not reaches(policies, STRANGER, here, 8080)
    assert not permits(policies, "Ingress", here, WORLD, 8080)


@pytest.mark.parametrize("component", ["migrate", "tools"])
def test_operators_commands_reach_the_servers(policies: list[Manifest], component: str) -> None:
    assert reaches(policies, ours(component), POSTGRES, 5432)
    assert reaches(policies, ours(component), RABBITMQ, 5672)


@pytest.mark.parametrize("component", [*catalog.NAMES, "gateway", "migrate", "tools"])
def test_every_pod_may_ask_for_names(policies: list[Manifest], component: str) -> None:
    assert permits(policies, "Egress", ours(component), {"k8s-app": "kube-dns"}, 53)


def test_the_world_reaches_the_gateway_and_nothing_behind_it(policies: list[Manifest]) -> None:
    assert permits(policies, "Ingress", ours("gateway"), WORLD, 8080)
    assert not reaches(policies, ours("gateway"), POSTGRES, 5432)
    assert not reaches(policies, ours("gateway"), RABBITMQ, 5672)
    for server, port in ((POSTGRES, 5432), (RABBITMQ, 5672)):
        assert not permits(policies, "Ingress", server, STRANGER, port)
        assert not permits(policies, "Ingress", server, WORLD, port)


# what goes out into the world: receivers of webhooks on any port, the mail server, the bucket
OUTWARD = {
    "webhooks": {80, 443, 587, 8443},
    "notifier": {587},
    "invoices": {443},
    "tools": {443, 587},
}


@pytest.mark.parametrize("component", [*catalog.NAMES, "gateway", "migrate", "tools"])
def test_only_who_has_to_goes_out_and_nobody_to_private_addresses(policies: list[Manifest], component: str) -> None:
    pod = ours(component)

    for address in (WORLD, WORLD_6):
        found = {port for port in (80, 443, 587, 8443) if permits(policies, "Egress", pod, address, port)}
        assert found == OUTWARD.get(component, set()), address
    for address in (PRIVATE, METADATA, "fd00::1"):
        assert not any(permits(policies, "Egress", pod, address, port) for port in (80, 443, 587, 5432, 8080))


def test_servers_talk_with_their_own_other_instances(policies: list[Manifest]) -> None:
    assert reaches(policies, POSTGRES, POSTGRES, 5432)
    assert all(reaches(policies, RABBITMQ, RABBITMQ, port) for port in (4369, 25672))
