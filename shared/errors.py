"""What can be refused.

The kind of a refusal gives the HTTP status, its `code` is for programs and never changes, its docstring is the
message for people, filled with the facts that it was raised with. RFC 9457 is how it reaches the client.
"""

from collections.abc import Sequence
from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong field: its path in the request (`line_items[0].quantity`) and what is wrong with it."""

    field: str
    message: str


class Refusal(Exception):
    """The request was refused."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Refused"
    code: ClassVar[str] = ""

    def __init_subclass__(cls, *, code: str | None = None, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if code is not None:
            cls.code = code

    def __init__(self, *, field: str | None = None, retry_after_seconds: int | None = None, **facts: object) -> None:
        assert self.code, f"{type(self).__name__} has no code"
        self.facts = facts
        self.retry_after_seconds = retry_after_seconds
        self.detail = " ".join((type(self).__doc__ or "").split()).format(**facts)
        self.errors: Sequence[FieldError] = (FieldError(field=field, message=self.detail),) if field else ()
        super().__init__(self.detail)


class BadRequest(Refusal, code="bad_request"):
    """The request is malformed."""

    status = 400
    title = "Bad request"


class Unauthorized(Refusal, code="unauthorized"):
    """A valid API key or access token is required: send it as `Authorization: Bearer …`."""

    status = 401
    title = "Unauthorized"


class Forbidden(Refusal, code="forbidden"):
    """This is not allowed."""

    status = 403
    title = "Forbidden"


class NotFound(Refusal, code="not_found"):
    """There is nothing here."""

    status = 404
    title = "Not found"


class MethodNotAllowed(Refusal, code="method_not_allowed"):
    """This address does not answer {method}."""

    status = 405
    title = "Method not allowed"


class Conflict(Refusal, code="conflict"):
    """This conflicts with the present state."""

    status = 409
    title = "Conflict"


class PreconditionFailed(Refusal, code="precondition_failed"):
    """The object has changed since you read it: its ETag is {etag}. Read it again and repeat the change."""

    status = 412
    title = "Precondition failed"


class TooLarge(Refusal, code="body_too_large"):
    """The body is larger than the {limit} bytes that are accepted here."""

    status = 413
    title = "Content too large"


class Invalid(Refusal, code="invalid"):
    """The request is well-formed but not valid."""

    status = 422
    title = "Unprocessable content"


class TooMany(Refusal, code="rate_limited"):
    """Too many requests; wait and try again."""

    status = 429
    title = "Too many requests"


class Unavailable(Refusal, code="unavailable"):
    """A part that this request needs is away; try again shortly."""

    status = 503
    title = "Service unavailable"


class InvalidFields(Invalid, code="validation_failed"):
    """The request has wrong fields."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__()
        assert errors, "a validation error without a wrong field"
        self.errors = tuple(errors)
        self.detail = "; ".join(f"{error.field}: {error.message}" if error.field else error.message for error in errors)


class InvalidQuery(BadRequest, code="invalid_query"):
    """The address has wrong parameters."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__()
        assert errors, "a validation error without a wrong parameter"
        self.errors = tuple(errors)
        self.detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
