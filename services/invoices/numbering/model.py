"""How a number looks."""


def number(prefix: str, year: int, sequence: int) -> str:
    """`INV-2026-0001`; more than 9999 in a year simply grows a digit."""
    assert sequence >= 1, sequence
    return f"{prefix}-{year:04d}-{sequence:04d}"
