"""Names of payers, each beside a name that only looks alike."""

import pytest

from services.payments.matching import names
from services.payments.matching.model import PayerSign
from services.payments.matching.payers import ALIKE, VAGUE, Payers
from tests.unit.payments.builders import an_id


def alike(one: str, other: str) -> float:
    return names.similarity(names.words(one), names.words(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Northwind Trading LLC", "NORTHWIND TRADING"),
        ("Müller & Söhne GmbH", "MUELLER UND SOEHNE"),
        ("Müller & Söhne GmbH & Co. KG", "Muller Sohne"),
        ("Acme, Inc.", "The Acme Company"),
        ("Société Générale S.A.", "SOCIETE GENERALE SA"),
        ("Trading Northwind", "Northwind Trading B.V."),
        ("L'Oréal", "LOREAL"),
        ("ACH CREDIT ACME CORP", "Acme"),
    ],
)
def test_legal_forms_accents_case_and_order_do_not_matter(one: str, other: str) -> None:
    assert alike(one, other) == 1.0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Northwind Tradnig", "Northwind Trading LLC"),
        ("NORTHWIND TRADING AND LOG", "Northwind Trading and Logistics GmbH"),
        ("Jones Brothers Plumbing", "Jones Brothers Plumbing and Heating"),
    ],
)
def test_slips_and_names_cut_by_the_bank_are_alike(one: str, other: str) -> None:
    assert alike(one, other) >= ALIKE


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Acme Berlin GmbH", "Acme Hamburg GmbH"),
        ("Store 12", "Store 13"),
        ("Smith", "Smithsonian Institution"),
        ("Delta Foods", "Delta Fuels"),
        ("Miller Ltd", "Northwind Ltd"),
    ],
)
def test_firms_that_share_a_word_or_a_form_are_not_alike(one: str, other: str) -> None:
    assert alike(one, other) < ALIKE


def some_payers(*customers: str) -> Payers:
    payers = Payers()
    for customer in customers:
        payers.put(an_id(customer), customer)
    return payers


def signs(payers: Payers, payer: str | None, text: str = "") -> dict[str, PayerSign]:
    return {found.customer_name: found.sign for found in payers.find(payer, text)}


def test_the_very_name_is_found_without_comparing_the_others() -> None:
    payers = some_payers("Northwind Trading LLC", "Northwind Trading Berlin LLC")

    assert signs(payers, "NORTHWIND TRADING") == {"Northwind Trading LLC": PayerSign.SAME}


def test_two_customers_that_are_nearly_equally_alike_are_both_only_vague() -> None:
    payers = some_payers("Northwind Trading East", "Northwind Trading West")

    assert set(signs(payers, "Northwind Trading").values()) == {PayerSign.VAGUE}


def test_two_customers_of_one_name_tell_nothing_sure() -> None:
    payers = Payers()
    payers.put(an_id("one"), "Acme Foods LLC")
    payers.put(an_id("two"), "ACME Foods GmbH")

    assert {found.sign for found in payers.find("acme foods", "")} == {PayerSign.VAGUE}


def test_a_learned_name_points_at_its_customer_until_it_pays_for_a_second_one() -> None:
    payers = some_payers("Acme Foods LLC", "Delta Fuels LLC")
    payers.learn(names.key("Jane Doe"), an_id("Acme Foods LLC"))

    assert signs(payers, "DOE JANE") == {"Acme Foods LLC": PayerSign.ALIAS}

    payers.learn(names.key("Jane Doe"), an_id("Delta Fuels LLC"))
    assert set(signs(payers, "Jane Doe").values()) == {PayerSign.VAGUE}


def test_a_name_whose_matches_were_undone_is_doubted() -> None:
    payers = some_payers("Acme Foods LLC")

    payers.doubt(names.key("Acme Foods"), an_id("Acme Foods LLC"), doubted=True)

    assert signs(payers, "Acme Foods") == {"Acme Foods LLC": PayerSign.VAGUE}


def test_without_a_payer_the_text_may_name_the_customer_if_it_names_only_one() -> None:
    payers = some_payers("Acme Foods LLC", "Delta Fuels LLC")

    assert signs(payers, None, "transfer from Acme Foods for October") == {"Acme Foods LLC": PayerSign.IN_TEXT}
    assert signs(payers, None, "Acme Foods and Delta Fuels") == {}


def test_a_forgotten_customer_is_not_found_again() -> None:
    payers = some_payers("Acme Foods LLC")
    payers.learn("jane", an_id("Acme Foods LLC"))

    payers.forget(an_id("Acme Foods LLC"))

    assert payers.find("Acme Foods", "") == payers.find("Jane", "") == []


def test_both_names_of_a_firm_that_trades_as_another_count() -> None:
    payers = some_payers("Acme Foods LLC")

    (found,) = payers.find("Hudson Holdings LLC d/b/a Acme Foods", "")

    assert found.likeness >= VAGUE
    assert found.sign is PayerSign.ALIKE
