"""Recording samples: the first event of each type that any test announces, as it went into an outbox.

    ARPILOT_RECORD_SAMPLES=1 make test

keeps what is there and adds what is missing. A sample that exists is never overwritten: it is the promise.
"""

from pathlib import Path

import pytest

from shared import outbox
from shared.events import NewEvent

SAMPLES = Path(__file__).parent / "samples"


def record(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on write down each new type of event."""
    original = outbox.row

    def recording(event: NewEvent, **kwargs: object) -> outbox.Row:
        row = original(event, **kwargs)  # type: ignore[arg-type]  # passed on as they are
        path = SAMPLES / f"{row.type}.json"
        if not path.exists():
            path.write_text(row.body + "\n")
        return row

    monkeypatch.setattr(outbox, "row", recording)
