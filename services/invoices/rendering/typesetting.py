"""Documents to PDF with typst: compiled once, then a few milliseconds each.

The data reaches the template as one JSON file and is only ever set as text, so nothing in a name or a note can be
read as markup. The template sees one private directory (itself, the data and the logos) and no network. The same data
gives the same bytes: no date is written into the file.
"""

import functools
import hashlib
import importlib.resources
import shutil
import tempfile
import threading
import weakref
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import msgspec
import structlog
import typst

from services.invoices.rendering.layout import bill_data, statement_data
from services.invoices.rendering.model import Bill, Statement

ROOM = importlib.resources.files("services.invoices.rendering")
FONT_PACKAGES = {  # package: directory of the fonts in it
    "services.invoices.rendering": "fonts",
    "fontpkg_hind_siliguri": "files",
    "fontpkg_noto_sans_tamil": "files",
    "fontpkg_noto_sans_telugu": "files",
    "fontpkg_noto_sans_khmer": "files",
    "noto_cjk_sans_otc": ".",
}
LOGO_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg"}
MAX_LOGO_BYTES = 1024 * 1024
MAX_LOGOS_KEPT = 500

log = structlog.get_logger()


class Typesetter:
    """The compiled templates with their fonts; calls take turns, since a compiler keeps state between runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._root = Path(tempfile.mkdtemp(prefix="arpilot-typst-"))
        weakref.finalize(self, shutil.rmtree, self._root, ignore_errors=True)
        for template in ("frame.typ", "bill.typ", "statement.typ"):
            _copy(ROOM / "templates" / template, self._root / template)
        fonts = typst.Fonts(include_system_fonts=False, font_paths=[*map(str, _font_directories())])
        self._compilers = {name: self._compiler(name, fonts) for name in ("bill", "statement")}

    def _compiler(self, name: str, fonts: typst.Fonts) -> typst.Compiler:
        return typst.Compiler(input=str(self._root / f"{name}.typ"), root=str(self._root), font_paths=fonts)

    def bill(self, bill: Bill, *, archival: bool = False) -> bytes:
        """An invoice or credit note as PDF; as PDF/A-3b, to carry an attachment for decades, if `archival`."""
        data = bill_data(bill)
        if archival:
            data["date"] = [bill.issue_date.year, bill.issue_date.month, bill.issue_date.day]
        return self._with_logo("bill", data, bill.brand.logo, archival=archival)

    def statement(self, statement: Statement) -> bytes:
        """A statement of account as PDF."""
        return self._with_logo("statement", statement_data(statement), statement.brand.logo)

    def _with_logo(self, template: str, data: dict[str, Any], logo: bytes | None, *, archival: bool = False) -> bytes:
        name = self._keep_logo(logo) if logo else None
        try:
            return self._compile(template, data | {"logo": name}, archival=archival)
        except typst.TypstError as error:
            if name is None:
                raise
            log.warning("logo_unreadable", reason=error.message)  # an invoice without a logo beats no invoice
            return self._compile(template, data, archival=archival)

    def _compile(self, template: str, data: dict[str, Any], *, archival: bool) -> bytes:
        file = self._root / "data.json"  # inputs would make typst forget all that it has set before
        with self._lock:
            try:
                file.write_bytes(msgspec.json.encode(data))
                pdf = self._compilers[template].compile(format="pdf", pdf_standards=["a-3b"] if archival else [])
            finally:
                file.unlink(missing_ok=True)
        assert isinstance(pdf, bytes), type(pdf)
        return pdf

    def _keep_logo(self, logo: bytes) -> str | None:
        """Put a logo where the template can see it, under the hash of its bytes."""
        kind = next((kind for magic, kind in LOGO_KINDS.items() if logo.startswith(magic)), None)
        if kind is None or len(logo) > MAX_LOGO_BYTES:
            return None
        path = self._root / f"logo-{hashlib.sha256(logo).hexdigest()}.{kind}"
        if not path.exists():
            self._make_room()
            path.write_bytes(logo)
        return path.name

    def _make_room(self) -> None:
        logos = sorted(self._root.glob("logo-*"), key=lambda path: path.stat().st_mtime)
        for path in logos[: max(0, len(logos) - MAX_LOGOS_KEPT + 1)]:
            path.unlink(missing_ok=True)


@functools.cache
def typesetter() -> Typesetter:
    """The process's typesetter, made on first use."""
    return Typesetter()


def _font_directories() -> list[Path]:
    return [Path(str(importlib.resources.files(package) / directory)) for package, directory in FONT_PACKAGES.items()]


def _copy(source: Traversable, target: Path) -> None:
    with source.open("rb") as stream, target.open("wb") as file:
        shutil.copyfileobj(stream, file)
