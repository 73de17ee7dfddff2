"""The contract with subscribers: what a recorded sample of an event holds is still there and means the same."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from services import catalog
from shared import events
from shared.events import EventType
from shared.http.calls import encode
from tests.contract.recording import SAMPLES

TYPES = [event for service in catalog.find() for event in service.events]


def sample(event_type: EventType[Any]) -> bytes:
    path: Path = SAMPLES / f"{event_type.name}.json"
    assert path.exists(), f"no sample of {event_type.name}: see tests/contract/recording.py"
    return path.read_bytes()


@pytest.mark.parametrize("event_type", TYPES, ids=lambda each: each.name)
def test_an_old_event_can_still_be_read_and_nothing_in_it_was_renamed(event_type: EventType[Any]) -> None:
    event = events.decode(sample(event_type))

    today = _exact(encode(event.decode(event_type.data)))

    assert event.type == event_type.name
    assert _lost(_exact(bytes(event.data)), today) == []


@pytest.mark.parametrize("event_type", TYPES, ids=lambda each: each.name)
def test_the_envelope_is_a_cloudevent_that_the_public_package_reads(event_type: EventType[Any]) -> None:
    event = JSONFormat().read(CloudEvent, sample(event_type))

    assert event.get_specversion() == "1.0"
    assert event.get_type() == event_type.name
    assert event.get_source() == event_type.source
    assert event.get_extension("tenantid")
    assert event.get_data()


@pytest.mark.parametrize("name", ["customer.updated", "invoice.updated"])
def test_an_event_that_updates_says_what_changed(name: str) -> None:
    data = _exact(bytes(events.decode((SAMPLES / f"{name}.json").read_bytes()).data))

    assert data["changes"]
    assert all(len(pair) == 2 and pair[0] != pair[1] for pair in data["changes"].values())


def _exact(raw: bytes) -> Any:
    return msgspec.json.Decoder(float_hook=Decimal).decode(raw)


def _lost(before: Any, after: Any, path: str = "") -> list[str]:
    """What stood in the sample and is missing, or says something else, after a round trip through today's struct."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [name for name in before if (path, name) != ("", "changes")]
        return [
            lost
            for name in names
            for lost in (_lost(before[name], after[name], f"{path}.{name}") if name in after else [f"{path}.{name}"])
        ]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            lost
            for index, pair in enumerate(zip(before, after, strict=True))
            for lost in _lost(*pair, f"{path}[{index}]")
        ]
    return [] if before == after else [path]
