"""What is refused about bank files."""

from shared.errors import BadRequest, Invalid, NotFound


class ImportUnknown(NotFound, code="import_not_found"):
    """There is no import {import_id}."""


class FileMissing(Invalid, code="file_missing"):
    """The form has no part named `file`."""


class FileUnreadable(Invalid, code="file_unreadable"):
    """The file cannot be imported: {reason}."""


class UploadMalformed(BadRequest, code="upload_malformed"):
    """The form cannot be read: {reason}."""


class UploadTooSlow(BadRequest, code="upload_too_slow"):
    """The file did not arrive in time."""

    status = 408
    title = "Request timeout"
