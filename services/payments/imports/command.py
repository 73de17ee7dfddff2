"""`arpilot import FILE`: the same as over HTTP, with a progress bar and the refused rows in a table."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from services.payments.imports.formats.detect import FORMATS
from shared.http import outside
from shared.http.outside import Api

READ_BYTES = 1 << 18
LOOK_SECONDS = 0.2
PRINTED_REJECTIONS = 20


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Detected when absent.")
@click.option("--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="For CSV; a name, or a number from 1.")
@click.option("--url", help="The API; default ARPILOT_API_URL, else the one that `run all` started here.")
@click.option("--key", help="An API key; default ARPILOT_API_KEY, else the demo key.")
def import_file(file: Path, form: str | None, columns: tuple[str, ...], url: str | None, key: str | None) -> None:
    """Import a bank file: CSV, OFX, camt.053, MT940 or BAI2.

    The same file twice adds nothing. For a CSV file with unusual columns say which they are:

    arpilot import bank.csv --map amount=Betrag --map payment_date=1
    """
    said = {"file_name": file.name, **({"format": form} if form else {})}
    if columns:
        said["mapping"] = json.dumps(dict(map(pair, columns)))
    job = asyncio.run(imported(file, file.stat().st_size, said, *outside.place(url, key, os.environ)))
    tell(job, Console())
    if job["status"] == "failed":
        raise click.ClickException(str(job["error"]))


def pair(text: str) -> tuple[str, str | int]:
    """Split FIELD=COLUMN."""
    field, equals, column = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not FIELD=COLUMN", param_hint="--map")
    return field, int(column) if column.isdecimal() else column


async def imported(file: Path, size_bytes: int, said: dict[str, str], url: str, key: str) -> dict[str, Any]:
    """Send the file and watch until it is imported; returns the finished job."""
    with progress_bar() as progress:
        async with outside.connected(url, key) as api:
            sending = progress.add_task("Sending", total=size_bytes, rows="")
            answer = await api.send("/v1/payments/import", pieces(file, progress, sending), **said)
            return await watched(api, answer["data"], progress)


def progress_bar() -> Progress:
    """A bar for each step, with rows beside it."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
    )
    return Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[rows]}"), console=Console(stderr=True))


async def pieces(file: Path, progress: Progress, task: TaskID) -> AsyncIterator[bytes]:
    """Read the file piece by piece as it is sent."""
    with file.open("rb") as stream:
        while piece := stream.read(READ_BYTES):
            yield piece
            progress.advance(task, len(piece))


async def watched(api: Api, job: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Look after a job until it is over."""
    task = progress.add_task("Importing", total=1.0, rows="")
    while job["status"] == "processing":
        await asyncio.sleep(LOOK_SECONDS)
        job = (await api.get(f"/v1/payments/imports/{job['id']}"))["data"]
        progress.update(task, completed=job["progress"], rows=f"{job['rows']:,} rows")
    return job


def tell(job: dict[str, Any], console: Console) -> None:
    """Say what became of the rows."""
    console.print(
        f"{job['accepted']:,} payments imported, {job['duplicates']:,} known before,"
        f" {job['rejected_count']:,} of {job['rows']:,} rows not imported ({job['format']})."
    )
    if not job["rejected"]:
        return
    table = Table("Row", "Why it was not imported", box=None, padding=(0, 2, 0, 0))
    for rejection in job["rejected"][:PRINTED_REJECTIONS]:
        table.add_row(str(rejection["row"]), Text(rejection["reason"]))  # what a bank wrote is no markup
    console.print(table)
    if job["rejected_count"] > PRINTED_REJECTIONS:
        console.print(
            f"… and {job['rejected_count'] - PRINTED_REJECTIONS:,} more: /v1/payments/imports/{job['id']}/rejected"
        )
