"""Documents as blobs, in a directory."""

from pathlib import Path

import pytest
from obstore.store import MemoryStore

from shared.blobs import Blobs, open_store
from shared.config import Settings, WrongSetting, load
from tests.harness import environment


def settings(blobs_url: str | None, data_dir: Path) -> Settings:
    environ = environment("postgresql://nowhere/x", "local:", data_dir)
    environ.pop("ARPILOT_BLOBS_URL")
    return load(Settings, "ARPILOT_", environ | ({"ARPILOT_BLOBS_URL": blobs_url} if blobs_url else {}))


@pytest.fixture(params=["directory", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(MemoryStore()) if request.param == "memory" else open_store(settings(None, tmp_path))


async def test_what_is_kept_is_found_replaced_and_removed(store: Blobs) -> None:
    assert await store.get("a/b/c.pdf") is None

    await store.put("a/b/c.pdf", b"one")
    await store.put("a/b/c.pdf", b"two")
    assert await store.get("a/b/c.pdf") == b"two"

    await store.delete("a/b/c.pdf")
    await store.delete("a/b/c.pdf")
    assert await store.get("a/b/c.pdf") is None


async def test_the_default_is_a_directory_of_the_data_directory(tmp_path: Path) -> None:
    await open_store(settings(None, tmp_path)).put("t/x.pdf", b"x")

    assert (tmp_path / "blobs" / "t" / "x.pdf").read_bytes() == b"x"


def test_a_bucket_is_taken_by_its_address_and_nonsense_is_refused(tmp_path: Path) -> None:
    assert isinstance(open_store(settings("s3://bucket/prefix", tmp_path)), Blobs)
    with pytest.raises(WrongSetting, match="ARPILOT_BLOBS_URL"):
        open_store(settings("ftp://host/x", tmp_path))
