"""The clock that processes share does not follow the one of their host."""

from datetime import timedelta

import pytest

from shared import clock
from shared.clock import SharedClock


def test_it_goes_on_from_what_the_database_said_whatever_the_host_says(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, instant = SharedClock(), clock.now() - timedelta(days=7)
    shared.set(instant)
    monkeypatch.setattr(clock, "now", lambda: instant + timedelta(hours=1))

    first, second = shared.now(), shared.now()

    assert instant <= first <= second < instant + timedelta(minutes=30)
