-- Reading an invoice whole, and making invoices in one round trip. Rows travel as JSON in the shape of the tables,
-- so a column added later must be nullable: what runs before it does not name it.

-- An invoice with everything that belongs to it, each part as JSON text that is passed on as it is.
create view whole_invoices as
select
    i.tenant_id,
    i.id,
    row_to_json(i)::text as invoice,
    (select r.email from recipients r where r.tenant_id = i.tenant_id and r.customer_id = i.customer_id) as email,
    (
        select coalesce(json_agg(l order by l.position), '[]')::text
        from line_items l where l.tenant_id = i.tenant_id and l.invoice_id = i.id
    ) as lines,
    (
        select coalesce(json_agg(a order by a.created_at, a.allocation_id), '[]')::text
        from applications a where a.tenant_id = i.tenant_id and a.invoice_id = i.id and a.status = 'applied'
    ) as applications,
    (select s.timezone from settings s where s.tenant_id = i.tenant_id) as timezone
from invoices i;

-- Lock in one order, then read: a second statement sees what the transactions waited for have committed.
create function lock_invoices(tenant uuid, ids uuid[]) returns setof whole_invoices language plpgsql as $$
begin
    perform from (
        select from invoices i where i.tenant_id = tenant and i.id = any (ids) order by i.id for update
    ) locked;
    return query select * from whole_invoices w where w.tenant_id = tenant and w.id = any (ids) order by w.id;
end $$;

create function count_made_invoices() returns trigger language plpgsql as $$
begin
    insert into invoice_counts
    select m.tenant_id, m.status, m.archived_at is not null, count(*) from made m group by 1, 2, 3;
    return null;
end $$;
create trigger invoices_count_made after insert on invoices
    referencing new table as made for each statement execute function count_made_invoices();

create function count_changed_invoice() returns trigger language plpgsql as $$
begin
    insert into invoice_counts values (old.tenant_id, old.status, old.archived_at is not null, -1);
    if tg_op = 'UPDATE' then
        insert into invoice_counts values (new.tenant_id, new.status, new.archived_at is not null, 1);
    end if;
    return null;
end $$;
create trigger invoices_count_changed after update on invoices for each row
    when (old.status <> new.status or (old.archived_at is null) <> (new.archived_at is null))
    execute function count_changed_invoice();
create trigger invoices_count_removed after delete on invoices for each row execute function count_changed_invoice();

-- The next number of a series; one that a caller has given to an invoice already is passed over.
create function next_number(tenant uuid, series text, number_prefix text, number_year integer, also_taken text[])
returns text language plpgsql as $$
declare
    sequence bigint;
    number text;
begin
    loop
        insert into counters (tenant_id, kind, prefix, year, last)
        values (tenant, series, number_prefix, number_year, 1)
        on conflict (tenant_id, kind, prefix, year) do update set last = counters.last + 1
        returning last into sequence;
        number := number_prefix || '-' || lpad(number_year::text, 4, '0') || '-'
            || lpad(sequence::text, greatest(4, length(sequence::text)), '0');
        exit when series <> 'invoice' or (number <> all (also_taken) and not exists (
            select from invoices i where i.tenant_id = tenant and i.invoice_number = number));
    end loop;
    return number;
end $$;

-- Make invoices with lines, postings and events, and number them; each is refused or made on its own.
-- `drafts` are rows of invoices with `number_prefix` and `number_year` where a number is to be taken; the bodies of
-- their events and answers hold "invoice_number":null, which becomes the number. `key_…` are the idempotency keys of
-- those requests that have one, with their answers (shared/http/idempotency.py says what is locked and kept).
create function create_invoices(
    drafts jsonb, drafted_lines jsonb, entries jsonb, entry_lines jsonb,
    event_invoices uuid[], event_tenants uuid[], event_ids uuid[], event_types text[], event_bodies text[],
    key_invoices uuid[], key_routes text[], key_values text[], key_fingerprints bytea[], key_bodies text[],
    key_hours integer
) returns table (invoice_id uuid, invoice_number text, refusal text) language plpgsql as $$
#variable_conflict use_column
declare
    ids uuid[];
    numbers text[];
    refusals text[];
    refused uuid[];
    given text[];
    clash boolean;
    repeated uuid[];
begin
    if array_length(key_invoices, 1) > 0 then
        select array_agg(k.invoice_id) into repeated
        from unnest(key_invoices, key_routes, key_values) as k (invoice_id, route, key)
        join jsonb_to_recordset(drafts) as d (id uuid, tenant_id uuid) on d.id = k.invoice_id
        where not pg_try_advisory_xact_lock(hashtextextended(d.tenant_id || '|' || k.route || '|' || k.key, 0))
            or exists (
                select from idempotency_keys i
                where i.tenant_id = d.tenant_id and i.route = k.route and i.key = k.key
                    and i.created_at > now() - make_interval(hours => key_hours));
    end if;
    select array_agg(d.invoice_number) filter (where d.invoice_number is not null),
        array_agg(d.id order by d.o), array_agg(d.invoice_number order by d.o),
        array_agg(case
            when d.id = any (repeated) then 'repeated'
            when d.invoice_number is not null and (d.nth > 1 or exists (
                select from invoices i where i.tenant_id = d.tenant_id and i.invoice_number = d.invoice_number))
            then 'invoice_number_taken' end order by d.o)
    into given, ids, numbers, refusals
    from (
        select x.id, x.tenant_id, x.invoice_number, x.o,
            row_number() over (partition by x.tenant_id, x.invoice_number order by x.o) as nth
        from rows from (jsonb_to_recordset(drafts) as (id uuid, tenant_id uuid, invoice_number text))
            with ordinality x (id, tenant_id, invoice_number, o)
    ) d;
    select array_agg(n.id) filter (where n.refusal is not null) into refused
    from unnest(ids, refusals) as n (id, refusal);

    -- locked in the order of the key, as every writer does
    with need as (
        select x.tenant_id, x.number_prefix, x.number_year, x.o,
            row_number() over series as nth, count(*) over (partition by x.tenant_id, x.number_prefix, x.number_year) as n
        from rows from (jsonb_to_recordset(drafts)
            as (id uuid, tenant_id uuid, number_prefix text, number_year integer))
            with ordinality x (id, tenant_id, number_prefix, number_year, o)
        where x.number_prefix is not null and (repeated is null or x.id <> all (repeated))
        window series as (partition by x.tenant_id, x.number_prefix, x.number_year order by x.o)
    ), taken as (
        insert into counters (tenant_id, kind, prefix, year, last)
        select distinct d.tenant_id, 'invoice', d.number_prefix, d.number_year, d.n
        from need d order by 1, 2, 3, 4
        on conflict (tenant_id, kind, prefix, year) do update set last = counters.last + excluded.last
        returning tenant_id, prefix, year, last
    ), numbered as (
        select d.o, d.tenant_id, d.number_prefix || '-' || lpad(d.number_year::text, 4, '0') || '-'
            || lpad((t.last - d.n + d.nth)::text, greatest(4, length((t.last - d.n + d.nth)::text)), '0') as number
        from need d join taken t on t.tenant_id = d.tenant_id and t.prefix = d.number_prefix and t.year = d.number_year
    )
    select coalesce(array_agg(coalesce(f.number, n.number) order by n.o), numbers),
        coalesce(bool_or(f.number = any (coalesce(given, '{}')) or exists (
            select from invoices i where i.tenant_id = f.tenant_id and i.invoice_number = f.number)), false)
    into numbers, clash
    from unnest(numbers) with ordinality n (number, o) left join numbered f on f.o = n.o;

    if clash then
        update counters c set last = c.last - d.n
        from (
            select x.tenant_id, x.number_prefix, x.number_year, count(*) as n
            from jsonb_to_recordset(drafts) as x (id uuid, tenant_id uuid, number_prefix text, number_year integer)
            where x.number_prefix is not null and (repeated is null or x.id <> all (repeated)) group by 1, 2, 3
        ) d
        where c.tenant_id = d.tenant_id and c.kind = 'invoice' and c.prefix = d.number_prefix
            and c.year = d.number_year;
        for i in 1 .. array_length(ids, 1) loop
            if refusals[i] is null and drafts -> (i - 1) ->> 'number_prefix' is not null then
                numbers[i] := next_number((drafts -> (i - 1) ->> 'tenant_id')::uuid, 'invoice',
                    drafts -> (i - 1) ->> 'number_prefix', (drafts -> (i - 1) ->> 'number_year')::integer,
                    coalesce(given, '{}'));
            end if;
        end loop;
    end if;

    insert into invoices
    select r.*
    from jsonb_array_elements(drafts) with ordinality e (element, o)
    join unnest(numbers, refusals) with ordinality n (number, refusal, o) on n.o = e.o
    cross join lateral jsonb_populate_record(
        null::invoices, e.element || jsonb_build_object('invoice_number', n.number)) r
    where n.refusal is null;
    insert into line_items
    select l.* from jsonb_populate_recordset(null::line_items, drafted_lines) l
    where refused is null or l.invoice_id <> all (refused);
    if refused is null then
        perform post_entries(entries, entry_lines);
    else
        perform post_entries(
            (select coalesce(jsonb_agg(e), '[]') from jsonb_array_elements(entries) e
                where (e ->> 'invoice_id')::uuid <> all (refused)),
            entry_lines);
    end if;
    insert into outbox (tenant_id, event_id, type, body)
    select e.tenant_id, e.event_id, e.type,
        replace(e.body, '"invoice_number":null', '"invoice_number":' || coalesce(to_json(n.number)::text, 'null'))
    from unnest(event_invoices, event_tenants, event_ids, event_types, event_bodies)
        with ordinality e (invoice_id, tenant_id, event_id, type, body, o)
    join unnest(ids, numbers, refusals) as n (id, number, refusal) on n.id = e.invoice_id
    where n.refusal is null
    order by e.o;
    insert into idempotency_keys as kept (tenant_id, route, key, fingerprint, status, body)
    select d.tenant_id, k.route, k.key, k.fingerprint, 201,
        convert_to(replace(k.body, '"invoice_number":null',
            '"invoice_number":' || coalesce(to_json(n.number)::text, 'null')), 'UTF8')
    from unnest(key_invoices, key_routes, key_values, key_fingerprints, key_bodies)
        as k (invoice_id, route, key, fingerprint, body)
    join jsonb_to_recordset(drafts) as d (id uuid, tenant_id uuid) on d.id = k.invoice_id
    join unnest(ids, numbers, refusals) as n (id, number, refusal) on n.id = k.invoice_id
    where n.refusal is null
    on conflict (tenant_id, route, key) do update set fingerprint = excluded.fingerprint,
        status = excluded.status, body = excluded.body, created_at = now();
    return query select * from unnest(ids, numbers, refusals);
end $$;

-- A customer is gone, and with it its invoices. The journal stays: it names no person.
create function erase_customer(tenant uuid, customer uuid) returns void language plpgsql as $$
declare
    gone uuid[];
begin
    select array_agg(i.id) into gone from (
        select id from invoices where tenant_id = tenant and customer_id = customer order by id for update
    ) i;
    delete from line_items where tenant_id = tenant and invoice_id = any (gone);
    delete from applications where tenant_id = tenant and invoice_id = any (gone);
    delete from invoices where tenant_id = tenant and id = any (gone);
end $$;
