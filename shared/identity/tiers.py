"""Tiers of tenants: what they pay for. Two of them may use the API."""

ALL = ("free", "pro", "enterprise")
"""Every tier that a tenant may have; the table of tenants takes no other."""

WITH_API = frozenset({"pro", "enterprise"})
"""The tiers whose tenants may call the API."""
