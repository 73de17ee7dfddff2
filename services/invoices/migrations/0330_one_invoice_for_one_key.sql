-- One invoice for one Idempotency-Key, also where two replicas get it at the same moment.
--
-- Lock and look-up were one statement, and a statement sees what was there when it began: where the other replica
-- committed, and so gave its lock free, in between, the look-up missed its key and the invoice was made twice. The
-- look-up is now a statement of its own, which begins with the lock in hand.
create or replace function create_invoices(
    ids uuid[], tenants uuid[], given text[], prefixes text[], years integer[],
    drafts json, drafted_lines json, entries jsonb, entry_lines jsonb,
    event_invoices uuid[], event_tenants uuid[], event_ids uuid[], event_types text[], event_bodies text[],
    key_invoices uuid[], key_routes text[], key_values text[], key_fingerprints bytea[], key_bodies text[],
    key_hours integer
) returns table (invoice_id uuid, invoice_number text, refusal text) language plpgsql
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    numbers text[];
    refusals text[] := array_fill(null::text, array[cardinality(ids)]);
    mine boolean[];
    refused uuid[];
    clash boolean;
begin
    if cardinality(key_invoices) > 0 then
        select array_agg(k.key is null
            or pg_try_advisory_xact_lock(hashtextextended(d.tenant_id || '|' || k.route || '|' || k.key, 0)) order by d.o)
        into mine
        from unnest(ids, tenants) with ordinality d (id, tenant_id, o)
        left join unnest(key_invoices, key_routes, key_values) k (invoice_id, route, key) on k.invoice_id = d.id;

        select array_agg(case when not d.mine or exists (
                select from idempotency_keys i
                where i.tenant_id = d.tenant_id and i.route = k.route and i.key = k.key
                    and i.created_at > now() - make_interval(hours => key_hours))
            then 'repeated' end order by d.o)
        into refusals
        from unnest(ids, tenants, mine) with ordinality d (id, tenant_id, mine, o)
        left join unnest(key_invoices, key_routes, key_values) k (invoice_id, route, key) on k.invoice_id = d.id;
    end if;
    if cardinality(array_remove(given, null)) > 0 then
        select array_agg(coalesce(d.refusal, case when d.number is not null and (d.nth > 1 or d.number = (
            select i.invoice_number from invoices i
            where i.tenant_id = d.tenant_id and i.invoice_number >= d.number order by i.invoice_number limit 1))
            then 'invoice_number_taken' end) order by d.o)
        into refusals
        from (
            select g.*, row_number() over (partition by g.tenant_id, g.number order by g.o) as nth
            from unnest(tenants, given, refusals) with ordinality g (tenant_id, number, refusal, o)
        ) d;
    end if;
    select array_agg(n.id) into refused from unnest(ids, refusals) n (id, refusal) where n.refusal is not null;

    -- locked in the order of the key, as every writer does
    with need as (
        select x.*, row_number() over (partition by x.tenant_id, x.prefix, x.year order by x.o) as nth,
            count(*) over (partition by x.tenant_id, x.prefix, x.year) as n
        from unnest(tenants, prefixes, years, refusals) with ordinality x (tenant_id, prefix, year, refusal, o)
        where x.prefix is not null and x.refusal is null
    ), taken as (
        insert into counters (tenant_id, kind, prefix, year, last)
        select distinct d.tenant_id, 'invoice', d.prefix, d.year, d.n from need d order by 1, 2, 3, 4
        on conflict (tenant_id, kind, prefix, year) do update set last = counters.last + excluded.last
        returning tenant_id, prefix, year, last
    ), numbered as (
        select d.o, d.tenant_id, d.prefix || '-' || lpad(d.year::text, 4, '0') || '-'
            || lpad((t.last - d.n + d.nth)::text, greatest(4, length((t.last - d.n + d.nth)::text)), '0') as number
        from need d join taken t on t.tenant_id = d.tenant_id and t.prefix = d.prefix and t.year = d.year
    )
    select array_agg(coalesce(f.number, n.number) order by n.o),
        coalesce(bool_or(f.number = any (given) or f.number = (
            select i.invoice_number from invoices i
            where i.tenant_id = f.tenant_id and i.invoice_number >= f.number order by i.invoice_number limit 1)), false)
    into numbers, clash
    from unnest(given) with ordinality n (number, o) left join numbered f on f.o = n.o;

    if clash then
        update counters c set last = c.last - d.n
        from (
            select x.tenant_id, x.prefix, x.year, count(*) as n
            from unnest(tenants, prefixes, years, refusals) x (tenant_id, prefix, year, refusal)
            where x.prefix is not null and x.refusal is null group by 1, 2, 3
        ) d
        where c.tenant_id = d.tenant_id and c.kind = 'invoice' and c.prefix = d.prefix and c.year = d.year;
        for i in 1 .. cardinality(ids) loop
            if refusals[i] is null and prefixes[i] is not null then
                numbers[i] := next_number(tenants[i], 'invoice', prefixes[i], years[i], array_remove(given, null));
            end if;
        end loop;
    end if;

    insert into invoices (
        tenant_id, id, version, invoice_number, customer_id, customer_name, customer_address, currency,
        issue_date, due_date, status, status_pinned, hand_status, disputed, in_plan, by_lines, tax_type,
        tax_rate_ids, taxes, tax_rate, given_tax_cents, discount_type, discount_value,
        adjustment_description, subtotal_cents, discount_cents, tax_cents, adjustment_cents, amount_cents,
        amount_due_cents, matched_cents, external_payment_cents, credited_cents, written_off_cents, notes,
        memo, note_to_customer, terms, tags, category, project, exclude_from_autopay, source_type,
        pdf_source, pdf_key, sent_at, last_notification_at, published_at, archived_at, created_at,
        updated_at
    )
    select
        r.tenant_id, r.id, r.version, n.number, r.customer_id, r.customer_name, r.customer_address,
        r.currency, r.issue_date, r.due_date, r.status, r.status_pinned, r.hand_status, r.disputed,
        r.in_plan, r.by_lines, r.tax_type, r.tax_rate_ids, r.taxes, r.tax_rate, r.given_tax_cents,
        r.discount_type, r.discount_value, r.adjustment_description, r.subtotal_cents, r.discount_cents,
        r.tax_cents, r.adjustment_cents, r.amount_cents, r.amount_due_cents, r.matched_cents,
        r.external_payment_cents, r.credited_cents, r.written_off_cents, r.notes, r.memo,
        r.note_to_customer, r.terms, r.tags, r.category, r.project, r.exclude_from_autopay, r.source_type,
        r.pdf_source, r.pdf_key, r.sent_at, r.last_notification_at, r.published_at, r.archived_at,
        r.created_at, r.updated_at
    from json_populate_recordset(null::invoices, drafts) r
    join unnest(ids, numbers, refusals) n (id, number, refusal) on n.id = r.id
    where n.refusal is null;
    insert into line_items
    select l.* from json_populate_recordset(null::line_items, drafted_lines) l
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
    join unnest(ids, numbers, refusals) n (id, number, refusal) on n.id = e.invoice_id
    where n.refusal is null
    order by e.o;
    insert into idempotency_keys as kept (tenant_id, route, key, fingerprint, status, body)
    select d.tenant_id, k.route, k.key, k.fingerprint, 201,
        convert_to(replace(k.body, '"invoice_number":null',
            '"invoice_number":' || coalesce(to_json(d.number)::text, 'null')), 'UTF8')
    from unnest(key_invoices, key_routes, key_values, key_fingerprints, key_bodies)
        k (invoice_id, route, key, fingerprint, body)
    join unnest(ids, tenants, numbers, refusals) d (id, tenant_id, number, refusal) on d.id = k.invoice_id
    where d.refusal is null
    on conflict (tenant_id, route, key) do update set fingerprint = excluded.fingerprint,
        status = excluded.status, body = excluded.body, created_at = now();
    return query select * from unnest(ids, numbers, refusals);
end $$;
