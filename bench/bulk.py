"""A great many invoices by SQL: copies of one that the app made, with their lines, under their own ids and numbers."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

    Owner = asyncpg.Connection[asyncpg.Record]

OWN = {
    "invoices": {
        "id": "bench_id(n)",
        "invoice_number": "'BULK-' || lpad(n::text, 8, '0')",
        "created_at": "c.created_at - n * interval '1 second'",
        "status": "case when n % 5 = 0 then 'paid' else c.status end",
    },
    "line_items": {"invoice_id": "bench_id(n)", "id": "gen_random_uuid()"},
}
"""What the copies do not share with the template. Every fifth says that it is paid, for a filter to find."""

KEYS = {"invoices": "id", "line_items": "invoice_id"}
BENCH_ID = """
    create or replace function bench_id(n bigint) returns uuid language sql immutable as $$
        select lpad(to_hex(n), 32, '0')::uuid $$
"""


async def columns(conn: "Owner", table: str) -> list[str]:
    """The columns of a table, in order."""
    rows = await conn.fetch(
        "select attname from pg_attribute where attrelid = $1::text::regclass and attnum > 0 and not attisdropped"
        " and attgenerated = '' order by attnum",
        table,
    )
    return [row["attname"] for row in rows]


async def copying(conn: "Owner", table: str, own: dict[str, str]) -> tuple[str, str]:
    """`insert into …` and `select …` of rows like those of `c`, with some columns of their own."""
    names = await columns(conn, table)
    return (
        f"insert into {table} ({', '.join(names)})",
        f"select {', '.join(own.get(name, f'c.{name}') for name in names)}",
    )


async def multiply(conn: "Owner", template_id: str, first: int, last: int) -> None:
    """Copies number `first` to `last` of an invoice; triggers keep the counts as they do for the app."""
    await conn.execute("set search_path = invoices, identity")
    await conn.execute(BENCH_ID)
    for table, key in KEYS.items():
        insert, select = await copying(conn, table, OWN[table])
        await conn.execute(
            f"{insert} {select} from generate_series({first}, {last}) n, {table} c where c.{key} = '{template_id}'"
        )
    await conn.execute("analyze invoices, line_items, invoice_counts")
