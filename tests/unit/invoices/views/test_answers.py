"""The answers that are kept, within their bounds."""

from datetime import date
from uuid import UUID

from msgspec import Raw

from services.invoices.views.answers import KEY_BYTES, Answers, Name

ANSWER = Raw(b"x" * 100)
ROOM = KEY_BYTES + len(ANSWER)


def a_name(number: int, *, version: int = 1, email: str | None = None, day: int = 1, whole: bool = True) -> Name:
    return UUID(int=number), version, 1767225600.0, email, date(2026, 1, day), whole


def test_an_answer_is_found_under_its_whole_name_only() -> None:
    answers = Answers(ROOM)
    answers.put(a_name(1), ANSWER)

    assert answers.get(a_name(1)) == ANSWER
    assert answers.get(a_name(1, version=2)) is None
    assert answers.get(a_name(1, email="ada@example.com")) is None
    assert answers.get(a_name(1, day=2)) is None
    assert answers.get(a_name(1, whole=False)) is None


def test_what_was_not_used_for_longest_makes_room() -> None:
    answers = Answers(2 * ROOM)
    answers.put(a_name(1), ANSWER)
    answers.put(a_name(2), ANSWER)
    answers.get(a_name(1))

    answers.put(a_name(3), ANSWER)

    assert [answers.get(a_name(number)) for number in (1, 2, 3)] == [ANSWER, None, ANSWER]


def test_an_answer_that_is_put_twice_takes_room_once() -> None:
    answers = Answers(2 * ROOM)

    for number in (1, 2, 2, 2):
        answers.put(a_name(number), ANSWER)

    assert answers.get(a_name(1)) == ANSWER


def test_without_room_nothing_is_kept() -> None:
    answers = Answers(0)

    answers.put(a_name(1), ANSWER)

    assert answers.get(a_name(1)) is None
