"""The envelope of events: CloudEvents 1.0, readable by anybody, tolerant of what is new."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from cloudevents.v1.http import from_json

from shared import events
from shared.events import Event, EventTooLarge, EventType, NotAnEvent, matches
from shared.money import major

ID, SUBJECT, TENANT = (UUID(int=number) for number in (1, 2, 3))
AT = datetime(2026, 11, 21, 9, 30, 0, 120000, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Parcel(msgspec.Struct, frozen=True):
    id: UUID
    price: Decimal
    note: str | None = None


class OnlyPrice(msgspec.Struct, frozen=True):
    price: Decimal


PARCEL_CREATED = EventType("parcel.created", Parcel, "A parcel was made.", service="post")
PARCEL_UPDATED = EventType("parcel.updated", Parcel, "A parcel changed.", service="post")


def an_event(**changed: object) -> Event:
    new = PARCEL_CREATED.new(tenant_id=TENANT, subject=SUBJECT, sequence=7, data=Parcel(SUBJECT, major(150)))
    sealed = new.seal(id=ID, time=AT, traceparent=None)
    return msgspec.structs.replace(sealed, **changed)


def test_the_envelope_has_exactly_the_documented_attributes() -> None:
    assert msgspec.json.decode(an_event(traceparent=TRACE).encode()) == {
        "specversion": "1.0",
        "id": str(ID),
        "source": "/arpilot/post",
        "type": "parcel.created",
        "subject": str(SUBJECT),
        "time": "2026-11-21T09:30:00.120000Z",
        "tenantid": str(TENANT),
        "sequence": 7,
        "traceparent": TRACE,
        "data": {"id": str(SUBJECT), "price": 1.5, "note": None},
    }


def test_without_a_trace_there_is_no_traceparent() -> None:
    assert b"traceparent" not in an_event().encode()


def test_the_public_cloudevents_library_reads_it() -> None:
    read = from_json(an_event(traceparent=TRACE).encode())

    assert read["type"] == "parcel.created"
    assert read["tenantid"] == str(TENANT)
    assert read.data["price"] == 1.5


def test_money_is_a_json_number_with_two_decimals() -> None:
    assert b'"price":1.50' in an_event().encode()


def test_an_update_says_what_it_changed_as_one_more_member_of_the_data() -> None:
    new = PARCEL_UPDATED.new(
        tenant_id=TENANT,
        subject=SUBJECT,
        sequence=8,
        data=Parcel(SUBJECT, major(200)),
        changes={"price": [major(150), major(200)], "note": ["fragile", None]},
    )
    data = msgspec.json.decode(new.seal(id=ID, time=AT, traceparent=None).data)

    assert data["changes"] == {"price": [1.5, 2.0], "note": ["fragile", None]}
    assert data["id"] == str(SUBJECT)


def test_an_object_without_members_can_have_changes_too() -> None:
    class Nothing(msgspec.Struct, frozen=True, omit_defaults=True):
        pass

    emptied = EventType("nothing.updated", Nothing, "Nothing changed.")
    new = emptied.new(tenant_id=TENANT, subject=SUBJECT, sequence=1, data=Nothing(), changes={"a": [1, 2]})

    assert bytes(new.seal(id=ID, time=AT, traceparent=None).data) == b'{"changes":{"a":[1,2]}}'


def test_what_is_written_can_be_read() -> None:
    read = events.decode(an_event(traceparent=TRACE).encode())

    assert (read.id, read.subject, read.tenant_id, read.sequence) == (ID, SUBJECT, TENANT, 7)
    assert (read.time, read.traceparent) == (AT, TRACE)
    assert read.decode(Parcel) == Parcel(SUBJECT, Decimal("1.50"))


def test_a_consumer_reads_only_the_fields_that_it_needs() -> None:
    assert an_event().decode(OnlyPrice) == OnlyPrice(Decimal("1.50"))


def test_attributes_and_fields_that_come_later_are_ignored() -> None:
    document = msgspec.json.decode(an_event().encode()) | {"newattribute": 1}
    document["data"]["colour"] = "red"

    read = events.decode(msgspec.json.encode(document))

    assert read.decode(OnlyPrice).price == Decimal("1.5")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"specversion":"1.0"}'], ids=lambda body: body[:20]
)
def test_what_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(NotAnEvent):
        events.decode(body)


def test_another_version_of_the_specification_is_refused() -> None:
    with pytest.raises(NotAnEvent):
        events.decode(an_event().encode().replace(b'"1.0"', b'"2.0"'))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(NotAnEvent):
        events.decode(an_event().encode().replace(b"120000Z", b"120000"))


def test_an_event_that_no_message_can_carry_is_refused_before_it_is_written() -> None:
    new = PARCEL_CREATED.new(
        tenant_id=TENANT, subject=SUBJECT, sequence=1, data=Parcel(SUBJECT, major(1), "x" * events.MAX_EVENT_BYTES)
    )

    with pytest.raises(EventTooLarge, match=r"parcel\.created"):
        new.seal(id=ID, time=AT, traceparent=None)


def test_a_name_has_one_meaning() -> None:
    with pytest.raises(AssertionError, match=r"parcel\.created"):
        EventType("parcel.created", OnlyPrice, "Something else.")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "invoice.created", True),
        ("invoice.created", "invoice.created", True),
        ("invoice.*", "invoice.created", True),
        ("invoice.*", "invoices.created", False),
        ("invoice", "invoice.created", False),
        ("invoice.create", "invoice.created", False),
        ("payment.*", "payment_plan.enrolled", False),
        ("", "invoice.created", False),
    ],
)
def test_a_pattern_is_a_name_or_a_family_or_everything(pattern: str, name: str, *, expected: bool) -> None:
    assert matches(pattern, name) is expected
