"""Links that need no token."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared import links

SECRET = "a secret of the tests, long enough to be one"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@given(tenant=st.uuids(), thing=st.uuids())
def test_a_link_gives_back_what_it_was_signed_for(tenant: UUID, thing: UUID) -> None:
    token = links.sign(SECRET, "pay", tenant, thing)

    assert links.read(SECRET, "pay", token, now=NOW) == (tenant, thing)
    assert token.replace("-", "").replace("_", "").isalnum()


@given(tenant=st.uuids(), thing=st.uuids(), position=st.integers(0, 63), letter=st.sampled_from("AZaz09-_"))
def test_no_changed_letter_opens_anything(tenant: UUID, thing: UUID, position: int, letter: str) -> None:
    token = links.sign(SECRET, "pay", tenant, thing)
    changed = token[:position] + letter + token[position + 1 :]

    if changed != token:
        assert links.read(SECRET, "pay", changed, now=NOW) is None


def test_another_purpose_or_key_opens_nothing() -> None:
    token = links.sign(SECRET, "pdf", UUID(int=1), UUID(int=2))

    assert links.read(SECRET, "pay", token, now=NOW) is None
    assert links.read(SECRET * 2, "pdf", token, now=NOW) is None


def test_a_link_ends_when_it_says() -> None:
    token = links.sign(SECRET, "pdf", UUID(int=1), UUID(int=2), expires_at=NOW)

    assert links.read(SECRET, "pdf", token, now=NOW - timedelta(seconds=1)) is not None
    assert links.read(SECRET, "pdf", token, now=NOW) is None


@given(text=st.text(max_size=100))
def test_any_text_is_read_without_harm(text: str) -> None:
    assert links.read(SECRET, "pay", text, now=NOW) is None


@given(
    thing=st.uuids(),
    position=st.integers(0, 88),
    added=st.sampled_from(["=", "==", "!", " ", "\n", "%", "+", "/", ".", "A", "\x00", "ä"]),
    end=st.booleans(),
)
def test_a_link_is_written_in_one_way_only(thing: UUID, position: int, added: str, *, end: bool) -> None:
    """Else a link that is blocked or counted by its text could be written in another way that opens as well."""
    token = links.sign(SECRET, "pdf", UUID(int=1), thing, expires_at=NOW + timedelta(days=1) if end else None)

    assert links.read(SECRET, "pdf", token[:position] + added + token[position:], now=NOW) is None


@given(thing=st.uuids(), last=st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
def test_the_spare_bits_of_the_last_letter_count_too(thing: UUID, last: str) -> None:
    for end in (None, NOW + timedelta(days=1)):
        token = links.sign(SECRET, "pdf", UUID(int=1), thing, expires_at=end)
        changed = token[:-1] + last

        assert (links.read(SECRET, "pdf", changed, now=NOW) is None) == (changed != token)


@given(cut=st.integers(1, 88))
def test_a_link_without_its_end_opens_nothing(cut: int) -> None:
    token = links.sign(SECRET, "pdf", UUID(int=1), UUID(int=2), expires_at=NOW + timedelta(days=1))

    assert links.read(SECRET, "pdf", token[:-cut], now=NOW) is None
