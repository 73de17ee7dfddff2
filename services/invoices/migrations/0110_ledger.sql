-- The general ledger behind the invoices. Entries are only ever added; the database itself refuses anything else.

create table accounts (
    tenant_id uuid not null,
    id uuid not null,
    code text not null,
    name text not null,
    type text not null check (type in ('asset', 'liability', 'equity', 'income', 'expense')),
    is_system boolean not null default false,
    archived_at timestamptz,
    version integer not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);
create unique index accounts_code on accounts (tenant_id, code);

create table journal_entries (
    tenant_id uuid not null,
    id uuid not null,
    -- what it was made for, such as application:<id>: the same thing done twice posts once
    source text not null,
    kind text not null check (kind in ('issue', 'external', 'payment', 'application', 'refund', 'credit_note',
        'credit_application', 'write_off', 'reversal')),
    entry_date date not null,
    description text not null,
    currency text not null,
    invoice_id uuid,
    payment_id uuid,
    reverses_id uuid,
    created_at timestamptz not null,
    primary key (tenant_id, id)
);
create unique index journal_entries_source on journal_entries (tenant_id, source);
create unique index journal_entries_reverses on journal_entries (tenant_id, reverses_id) where reverses_id is not null;
create index journal_entries_invoice on journal_entries (tenant_id, invoice_id) where invoice_id is not null;
create index journal_entries_payment on journal_entries (tenant_id, payment_id) where payment_id is not null;
create index journal_entries_date on journal_entries (tenant_id, entry_date, id);

create table journal_lines (
    tenant_id uuid not null,
    entry_id uuid not null,
    position integer not null,
    account_id uuid not null,
    debit_cents bigint not null check (debit_cents >= 0),
    credit_cents bigint not null check (credit_cents >= 0),
    primary key (tenant_id, entry_id, position),
    check ((debit_cents = 0) <> (credit_cents = 0))
);
create index journal_lines_account on journal_lines (tenant_id, account_id);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'the journal is immutable: mend a mistake with a reversing entry';
end $$;
create trigger journal_entries_immutable before update or delete or truncate on journal_entries
    for each statement execute function refuse_change();
create trigger journal_lines_immutable before update or delete or truncate on journal_lines
    for each statement execute function refuse_change();

-- Accounts that every tenant has; the id follows from tenant and code, so that nobody has to look it up.
create function account_id(tenant uuid, account_code text) returns uuid language sql immutable as $$
    select md5(tenant::text || ':' || account_code)::uuid
$$;

create function seed_chart(tenant uuid) returns void language plpgsql as $$
begin
    if exists (select from accounts where tenant_id = tenant and is_system) then
        return;
    end if;
    insert into accounts (tenant_id, id, code, name, type, is_system)
    select tenant, account_id(tenant, c.code), c.code, c.name, c.type, true
    from (values
        ('1000', 'Bank', 'asset'),
        ('1090', 'External payments clearing', 'asset'),
        ('1100', 'Accounts receivable', 'asset'),
        ('2100', 'Sales tax payable', 'liability'),
        ('2200', 'Unapplied cash', 'liability'),
        ('4000', 'Revenue', 'income'),
        ('4100', 'Discounts given', 'income'),
        ('4200', 'Credit notes', 'income'),
        ('4300', 'Adjustments', 'income'),
        ('6100', 'Bad debt', 'expense')
    ) as c (code, name, type)
    on conflict do nothing;
end $$;

-- Append entries with their lines, each once by its source; an entry that does not balance fails the transaction.
create function post_entries(entries jsonb, lines jsonb) returns setof uuid language plpgsql as $$
declare
    posted uuid[];
begin
    if exists (
        select from jsonb_populate_recordset(null::journal_lines, lines) l
        group by l.entry_id having sum(l.debit_cents) <> sum(l.credit_cents)
    ) then
        raise exception 'an entry does not balance: %', lines;
    end if;
    perform seed_chart(t.tenant_id)
    from (select distinct e.tenant_id from jsonb_populate_recordset(null::journal_entries, entries) e) t;
    with fresh as (
        insert into journal_entries
        select * from jsonb_populate_recordset(null::journal_entries, entries)
        on conflict (tenant_id, source) do nothing
        returning id
    )
    select array_agg(f.id) into posted from fresh f;
    insert into journal_lines
    select l.* from jsonb_populate_recordset(null::journal_lines, lines) l where l.entry_id = any (posted);
    return query select unnest(posted);
end $$;

-- Post the mirror image of entries; what is reversed already stays as it is.
create function reverse_entries(tenant uuid, entry_ids uuid[], reversal_ids uuid[], reversed_on date, at timestamptz)
returns setof uuid language plpgsql as $$
declare
    made uuid[];
begin
    with fresh as (
        insert into journal_entries
        select e.tenant_id, r.reversal_id, 'reversal:' || e.id, 'reversal', coalesce(reversed_on, e.entry_date),
            'Reversal: ' || e.description, e.currency, e.invoice_id, e.payment_id, e.id, at
        from unnest(entry_ids, reversal_ids) as r (entry_id, reversal_id)
        join journal_entries e on e.tenant_id = tenant and e.id = r.entry_id
        on conflict (tenant_id, source) do nothing
        returning id, reverses_id
    ), mirrored as (
        insert into journal_lines
        select l.tenant_id, f.id, l.position, l.account_id, l.credit_cents, l.debit_cents
        from fresh f join journal_lines l on l.tenant_id = tenant and l.entry_id = f.reverses_id
    )
    select array_agg(f.id) into made from fresh f;
    return query select unnest(made);
end $$;

revoke update, delete, truncate on journal_entries, journal_lines from public;
do $$
begin
    -- where the service runs under a role of its own, that role may add to the journal and read it, no more
    if exists (select from pg_roles where rolname = 'arpilot_invoices') then
        revoke update, delete, truncate on journal_entries, journal_lines from arpilot_invoices;
    end if;
end $$;
