"""Scopes: a bare area means reading and writing it."""

from collections.abc import Iterable

AREAS = ("invoices", "customers", "payments", "webhooks", "reconciliation")
ALL = tuple(name for area in AREAS for name in (area, f"{area}:read", f"{area}:write"))
"""Every scope that a key or client may carry."""


def expand(scopes: Iterable[str]) -> frozenset[str]:
    """The single rights that scopes give: `invoices` gives `invoices:read` and `invoices:write`."""
    rights: set[str] = set()
    for scope in scopes:
        rights |= {scope} if ":" in scope else {f"{scope}:read", f"{scope}:write"}
    return frozenset(rights)
