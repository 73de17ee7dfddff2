"""What an account can be refused for."""

from shared.errors import Conflict, NotFound


class AccountUnknown(NotFound, code="account_not_found"):
    """There is no account {account_id}."""


class AccountCodeTaken(Conflict, code="account_code_taken"):
    """There is an account {code} already."""


class SystemAccount(Conflict, code="system_account"):
    """{code} is an account of the system: it may be renamed, but neither renumbered, retyped nor deleted."""


class AccountUsed(Conflict, code="account_in_use"):
    """Account {code} has postings, so its type stays."""


class AccountArchived(Conflict, code="account_archived"):
    """This account is archived and cannot be changed any more."""
