"""External ids that stay the same whenever the same booking is read again.

The bank's own id counts together with date and amount, because banks reuse ids. A booking without an own id is known by
its content and by how many equal ones stood before it in the file: two equal payments on one day are two payments, and
the same file read twice adds nothing.
"""

from collections import Counter
from hashlib import sha256

from services.payments.imports.formats.rows import Line, Row

SHORT_HEX_DIGITS = 12
LONG_HEX_DIGITS = 32
MAX_OWN_ID_CHARACTERS = 100


class Identities:
    """Hands out the external ids of one file."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.seen: Counter[str] = Counter()

    def row(self, line: Line, *, own_id: str = "", account: str = "") -> Row:
        """Make the row of a booking that was found good."""
        external_id = self.owned(line, own_id, account) if own_id else self.counted(line, account)
        return with_id(line, external_id)

    def owned(self, line: Line, own_id: str, account: str) -> str:
        """Build on the bank's own id, readable, made unambiguous by what else identifies the booking."""
        content = digest(account, own_id, line.date.isoformat(), str(line.signed_cents))
        return f"{own_id[:MAX_OWN_ID_CHARACTERS]}-{content[:SHORT_HEX_DIGITS]}"

    def counted(self, line: Line, account: str) -> str:
        """Build on the content and the number of its occurrence in the file."""
        facts = (
            account,
            line.date.isoformat(),
            str(line.signed_cents),
            line.currency or "",
            line.payer,
            line.reference,
        )
        content = digest(*facts)[:LONG_HEX_DIGITS]
        self.seen[content] += 1
        return f"{self.prefix}-{content}-{self.seen[content]}"


def with_id(line: Line, external_id: str) -> Row:
    """Turn a good booking into a row under the given id."""
    return Row(line.number, line.signed_cents, line.date, line.payer, line.reference, external_id, line.currency)


def digest(*facts: str) -> str:
    """Hash facts so that no two lists of facts run together."""
    return sha256("\x1f".join(facts).encode()).hexdigest()
