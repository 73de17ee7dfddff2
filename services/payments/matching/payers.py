"""Who may have paid: customers by name, found by whole words and word beginnings before anything fuzzy is compared."""

from collections.abc import Iterator
from uuid import UUID

from services.payments.matching import names
from services.payments.matching.model import Payer, PayerSign

ALIKE = 0.90
VAGUE = 0.75
CLEARLY_BETTER = 0.06
MAX_COMPARED = 120
MAX_POSTINGS = 400  # a word shared by more customers than that tells nothing
AFFIX_CHARACTERS = 4
MAX_PAYERS = 3
TELLING_CHARACTERS = 5


class Payers:
    """The names of a tenant's customers and the other names under which they were seen to pay."""

    def __init__(self) -> None:
        self._names: dict[UUID, dict[tuple[str, ...], str]] = {}
        self._exact: dict[str, set[UUID]] = {}
        self._pieces: dict[str, set[UUID]] = {}
        self._aliases: dict[str, set[UUID]] = {}
        self._doubted: set[tuple[str, UUID]] = set()

    def put(self, customer_id: UUID, name: str) -> None:
        """Remember a customer's name; knowing it already is fine."""
        words = names.words(name)
        known = self._names.setdefault(customer_id, {})
        if words in known:
            return
        known[words] = name
        self._exact.setdefault(" ".join(sorted(words)), set()).add(customer_id)
        for piece in _pieces(words):
            self._pieces.setdefault(piece, set()).add(customer_id)

    def forget(self, customer_id: UUID) -> None:
        for words in self._names.pop(customer_id, {}):
            self._exact.get(" ".join(sorted(words)), set()).discard(customer_id)
            for piece in _pieces(words):
                self._pieces.get(piece, set()).discard(customer_id)
        for customers in self._aliases.values():
            customers.discard(customer_id)

    def learn(self, alias: str, customer_id: UUID) -> None:
        """Remember that this name (a `names.key`) has paid for that customer."""
        self._aliases.setdefault(alias, set()).add(customer_id)

    def unlearn(self, alias: str, customer_id: UUID) -> None:
        self._aliases.get(alias, set()).discard(customer_id)

    def doubt(self, alias: str, customer_id: UUID, *, doubted: bool) -> None:
        """People took money off this customer that came under this name: it may still be the payer, but is not sure."""
        pair = (alias, customer_id)
        if doubted:
            self._doubted.add(pair)
        else:
            self._doubted.discard(pair)

    def find(self, payer: str | None, text: str) -> list[Payer]:
        """The customers that the payer may be, likeliest first; a name that stands for several tells nothing sure."""
        if not payer:
            return self._in_text(text)
        alias = names.key(payer)
        return [
            Payer(found.customer_id, found.customer_name, PayerSign.VAGUE, found.likeness)
            if (alias, found.customer_id) in self._doubted
            else found
            for found in self._named(payer)
        ]

    def _named(self, payer: str) -> list[Payer]:
        aliased = self._aliases.get(names.key(payer), set())
        if aliased:
            sign = PayerSign.ALIAS if len(aliased) == 1 else PayerSign.VAGUE
            return [Payer(customer_id, self._name(customer_id), sign, 1.0) for customer_id in sorted(aliased)][
                :MAX_PAYERS
            ]
        same = self._exact.get(names.key(payer), set())
        if len(same) == 1:
            (customer_id,) = same
            return [Payer(customer_id, self._name(customer_id), PayerSign.SAME, 1.0)]
        return self._alike(payer)

    def _alike(self, payer: str) -> list[Payer]:
        likeness: dict[UUID, float] = {}
        for part in names.parts(payer):
            words = names.words(part)
            for customer_id in self._candidates(words):
                best = max(names.similarity(words, known) for known in self._names[customer_id])
                likeness[customer_id] = max(best, likeness.get(customer_id, 0.0))
        ranked = sorted(
            ((alike, customer_id) for customer_id, alike in likeness.items() if alike >= VAGUE), reverse=True
        )
        return [
            Payer(customer_id, self._name(customer_id), _sign(ranked, place), alike)
            for place, (alike, customer_id) in enumerate(ranked[:MAX_PAYERS])
        ]

    def _candidates(self, words: tuple[str, ...]) -> Iterator[UUID]:
        """Customers that share a piece of a word, those with the rarest pieces first, at most MAX_COMPARED."""
        postings = [
            found for piece in _pieces(words) if (found := self._pieces.get(piece)) and len(found) <= MAX_POSTINGS
        ]
        seen: set[UUID] = set()
        for found in sorted(postings, key=len):
            for customer_id in found - seen:
                if len(seen) >= MAX_COMPARED:
                    return
                seen.add(customer_id)
                yield customer_id

    def _in_text(self, text: str) -> list[Payer]:
        """Without a payer's name, a customer all of whose words stand in the text is a sign, if a weaker one."""
        words = names.words(text)
        present = set(words)
        found = [
            Payer(customer_id, self._name(customer_id), PayerSign.IN_TEXT, 1.0)
            for customer_id in self._candidates(words)
            if any(_telling(known) and present.issuperset(known) for known in self._names[customer_id])
        ]
        return found if len(found) == 1 else []

    def _name(self, customer_id: UUID) -> str:
        known = self._names.get(customer_id)
        return next(iter(known.values())) if known else str(customer_id)


def _telling(words: tuple[str, ...]) -> bool:
    letters = [word for word in words if not word.isdigit()]
    return len(letters) >= 2 or any(len(word) >= TELLING_CHARACTERS for word in letters)


def _sign(ranked: list[tuple[float, UUID]], place: int) -> PayerSign:
    """ALIKE only for the first, and only where the second is clearly worse."""
    alike = ranked[0][0]
    second = ranked[1][0] if len(ranked) > 1 else 0.0
    sure = place == 0 and alike >= ALIKE and alike - second >= CLEARLY_BETTER
    return PayerSign.ALIKE if sure else PayerSign.VAGUE


def _pieces(words: tuple[str, ...]) -> set[str]:
    """Whole words, and the first and the last letters of each, so that one typo leaves something to find it by."""
    pieces = set(words)
    for word in words:
        if len(word) > AFFIX_CHARACTERS:
            pieces.add("^" + word[:AFFIX_CHARACTERS])
            pieces.add(word[-AFFIX_CHARACTERS:] + "$")
    return pieces
