"""Documents as blobs: a directory, or a bucket by setting, behind one small interface (obstore)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, ObjectStore, from_url

from shared.config import Settings, WrongSetting
from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.app import Runtime

TIMEOUT = "20s"


class BlobsAway(Unavailable, code="blobs_unavailable"):
    """The store of documents is away; try again shortly."""


class Blobs:
    """Bytes by key. A key is a path of our own making, such as `<tenant>/invoices/<id>/<hash>.pdf`."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def put(self, key: str, content: bytes) -> None:
        """Keep bytes under a key; what was there before is replaced."""
        try:
            await obstore.put_async(self._store, key, content)
        except (BaseError, OSError) as error:
            raise BlobsAway(retry_after_seconds=5) from error

    async def get(self, key: str) -> bytes | None:
        """The bytes of a key; None where there are none."""
        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except (NotFoundError, FileNotFoundError):
            return None
        except (BaseError, OSError) as error:
            raise BlobsAway(retry_after_seconds=5) from error

    async def delete(self, key: str) -> None:
        """Remove a key; one that is not there is gone already."""
        try:
            await obstore.delete_async(self._store, key)
        except (NotFoundError, FileNotFoundError):
            return
        except (BaseError, OSError) as error:
            raise BlobsAway(retry_after_seconds=5) from error


def open_store(settings: Settings) -> Blobs:
    """The store that the settings name; raises WrongSetting."""
    url = settings.blobs_url or str(Path(settings.data_dir) / "blobs")
    if "://" not in url:
        return Blobs(LocalStore(Path(url).resolve(), mkdir=True))
    try:
        return Blobs(from_url(url, client_options={"timeout": TIMEOUT}))
    except (BaseError, ValueError) as error:
        raise WrongSetting(f"ARPILOT_BLOBS_URL is wrong: {error}.") from None


@asynccontextmanager
async def blobs(runtime: "Runtime") -> AsyncIterator[object]:
    """The resource: `runtime.use(Blobs)`."""
    yield open_store(runtime.settings)
