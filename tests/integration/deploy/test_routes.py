"""The gateway's table of routes says what the services' own tables say."""

import re
from pathlib import Path

import pytest

from services import catalog
from shared.http.routes import Route
from shared.testing.gateway import FILES

TABLE = re.compile(r"map \$uri \$service \{(.*?)\n    \}", re.DOTALL)
ROW = re.compile(r'^\s*"~(?P<pattern>[^"]+)"\s+\$(?P<service>\w+);$', re.MULTILINE)
LOCATION = re.compile(
    r"location (?:(?P<kind>=|~) )?(?P<place>/\S*|\^\S+) \{\s*client_max_body_size (?P<mebibytes>\d+)m;", re.MULTILINE
)
GATEWAY = (FILES / "nginx.conf").read_text()
MEBIBYTE = 1024 * 1024
IDENTIFIER = "019a0000-0000-7000-8000-000000000000"


def a_path(route: Route) -> str:
    return re.sub(r"\{[^}]+\}", IDENTIFIER, route.path)


def service_of(path: str) -> str:
    table = TABLE.search(GATEWAY)
    assert table
    rows = [(match["pattern"], match["service"]) for match in ROW.finditer(table[1])]
    assert len(rows) > 5
    return next((service for pattern, service in rows if re.search(pattern, path)), "")


def largest_body(path: str) -> int:
    exact = {m["place"]: int(m["mebibytes"]) for m in LOCATION.finditer(GATEWAY) if m["kind"] == "="}
    patterns = {m["place"]: int(m["mebibytes"]) for m in LOCATION.finditer(GATEWAY) if m["kind"] == "~"}
    assert exact
    assert patterns
    found = exact.get(path) or next((size for pattern, size in patterns.items() if re.search(pattern, path)), 1)
    return found * MEBIBYTE


ROUTES = [(service.name, route) for service in catalog.find() for route in service.routes]
INSIDE = [route for _, route in ROUTES if route.internal or route.path.startswith("/dev/")]
PUBLIC = [pytest.param(name, route, id=f"{route.method} {route.path}") for name, route in ROUTES if route not in INSIDE]
INTERNAL = [pytest.param(route, id=f"{route.method} {route.path}") for route in INSIDE]


@pytest.mark.parametrize(("service", "route"), PUBLIC)
def test_every_public_route_is_sent_to_its_service(service: str, route: Route) -> None:
    assert service_of(a_path(route)) == service


@pytest.mark.parametrize("route", INTERNAL)
def test_no_internal_route_is_public(route: Route) -> None:
    assert service_of(a_path(route)) == ""


@pytest.mark.parametrize(("service", "route"), PUBLIC)
def test_the_gateway_lets_in_what_the_route_takes(service: str, route: Route) -> None:
    assert largest_body(a_path(route)) >= route.max_bytes


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/internal/applications", "/dev/mail"])
def test_what_belongs_inside_is_not_routed(path: str) -> None:
    assert service_of(path) == ""


@pytest.mark.parametrize("values", sorted(Path(FILES, "values").glob("*.conf")), ids=lambda path: path.stem)
def test_each_set_of_values_names_every_service(values: Path) -> None:
    text = values.read_text()

    assert all(re.search(rf"\${service}\b", text) for service in catalog.NAMES)
