"""Sums that explain an amount. All amounts are integer cents."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from itertools import combinations

MAX_PARTS = 5  # accounting.md: up to five invoices of one customer
MAX_SEARCHED = 24  # the oldest so many are searched: 2,024 triples and 276 pairs
MAX_SOLUTIONS = 4

_TERMS = re.compile(r"(\d{1,2}(?:[.,]\d{1,2})?)\s*%?\s*(?:/|\bin\b|\bwithin\b)\s*(\d{1,2})\b", re.IGNORECASE)


def subsets(dues_cents: Sequence[int], target_cents: int) -> list[tuple[int, ...]]:
    """Positions of two to five amounts that add up to the target, the earliest positions first, at most four answers.

    Triples are walked and the one or two amounts after each looked up, so the work is bounded by the triples of 24.
    """
    dues = dues_cents[:MAX_SEARCHED]
    if len(dues) < 2 or not sum(sorted(dues)[:2]) <= target_cents <= sum(sorted(dues)[-MAX_PARTS:]):
        return []
    found = _up_to_three(dues, target_cents)
    if len(found) < MAX_SOLUTIONS and len(dues) > 3:
        found += _four_or_five(dues, target_cents)
    return sorted(found, key=lambda positions: (len(positions), positions))[:MAX_SOLUTIONS]


def _up_to_three(dues: Sequence[int], target: int) -> list[tuple[int, ...]]:
    places: dict[int, list[int]] = {}
    for place, due in enumerate(dues):
        places.setdefault(due, []).append(place)
    found: list[tuple[int, ...]] = []
    for one, due in enumerate(dues):
        found += [(one, two) for two in places.get(target - due, ()) if two > one]
    for one, two in combinations(range(len(dues)), 2):
        found += [(one, two, three) for three in places.get(target - dues[one] - dues[two], ()) if three > two]
        if len(found) >= MAX_SOLUTIONS:
            break
    return found


def _four_or_five(dues: Sequence[int], target: int) -> list[tuple[int, ...]]:
    tails: dict[int, list[tuple[int, ...]]] = {}
    for place, due in enumerate(dues):
        tails.setdefault(due, []).append((place,))
    for one, two in combinations(range(len(dues)), 2):
        tails.setdefault(dues[one] + dues[two], []).append((one, two))
    found: list[tuple[int, ...]] = []
    for one, two, three in combinations(range(len(dues)), 3):
        rest = target - dues[one] - dues[two] - dues[three]
        if rest > 0 and rest in tails:
            found += [(one, two, three, *tail) for tail in tails[rest] if tail[0] > three]
            if len(found) >= MAX_SOLUTIONS:
                break
    return found


def early_payment_discount(terms: str | None) -> tuple[Decimal, int] | None:
    """Percent and days of the discount for paying early in an invoice's terms: `2/10 net 30`, `2% within 10 days`."""
    match = _TERMS.search(terms) if terms else None
    if match is None:
        return None
    percent, days = Decimal(match.group(1).replace(",", ".")), int(match.group(2))
    return (percent, days) if 0 < percent <= 10 and 0 < days <= 60 else None


def discounted(total_cents: int, percent: Decimal) -> int:
    """What is left of an amount after a discount, rounded half up to the cent."""
    return int((total_cents * (100 - percent) / 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))
