-- Making an invoice in one round trip where what it names was looked up before: the facts of a tenant have a version,
-- which every change of them raises, and whoever makes invoices from facts of an older one is told so and makes none.
create table fact_versions (
    tenant_id uuid primary key,
    version bigint not null
) with (fillfactor = 50);

create function note_changed_facts() returns trigger language plpgsql set search_path from current as $$
begin
    insert into fact_versions as f (tenant_id, version)
    select distinct c.tenant_id, 1 from changed c order by 1
    on conflict (tenant_id) do update set version = f.version + 1;
    return null;
end $$;

do $$
declare
    facts text;
begin
    foreach facts in array array['recipients', 'settings', 'products', 'tax_rates', 'accounts'] loop
        execute format('create trigger facts_inserted after insert on %I referencing new table as changed
            for each statement execute function note_changed_facts()', facts);
        execute format('create trigger facts_updated after update on %I referencing new table as changed
            for each statement execute function note_changed_facts()', facts);
        execute format('create trigger facts_deleted after delete on %I referencing old table as changed
            for each statement execute function note_changed_facts()', facts);
    end loop;
end $$;

-- As before, and the version.
create or replace function load_facts(tenants uuid[], customers text[], products text[], rates text[], accounts text[])
returns setof text language plpgsql stable
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
    return query select json_build_object(
        'version', coalesce((select f.version from fact_versions f where f.tenant_id = u.tenant_id), 0),
        'settings', json_build_object(
            'invoice_prefix', coalesce(s.invoice_prefix, 'INV'), 'number_on', coalesce(s.number_on, 'create'),
            'payment_terms_days', coalesce(s.payment_terms_days, 30), 'timezone', coalesce(s.timezone, t.timezone),
            'currency', coalesce(s.currency, t.currency), 'multi_currency', coalesce(s.multi_currency, false)),
        'recipients', (select coalesce(json_agg(r), '[]') from recipients r
            where r.tenant_id = u.tenant_id and r.customer_id = any(u.customers::uuid[]) and r.deleted_at is null),
        'products', case when u.products <> '{}' then (select coalesce(json_agg(p), '[]') from products p
            where p.tenant_id = u.tenant_id and p.id = any(u.products::uuid[]) and p.archived_at is null)
            else '[]' end,
        'rates', case when u.rates <> '{}' or u.products <> '{}' then (select coalesce(json_agg(x), '[]')
            from tax_rates x where x.tenant_id = u.tenant_id and x.archived_at is null
            and (x.id = any(u.rates::uuid[]) or x.id in (select p.tax_rate_id from products p
                where p.tenant_id = u.tenant_id and p.id = any(u.products::uuid[]))))
            else '[]' end,
        'accounts', case when u.accounts <> '{}' or u.products <> '{}' then (select coalesce(json_agg(a), '[]')
            from accounts a where a.tenant_id = u.tenant_id and a.archived_at is null
            and (a.id = any(u.accounts::uuid[]) or a.id in (select p.account_id from products p
                where p.tenant_id = u.tenant_id and p.id = any(u.products::uuid[]))))
            else '[]' end
    )::text
    from unnest(tenants, customers, products, rates, accounts)
        with ordinality u (tenant_id, customers, products, rates, accounts, o)
    join tenants t on t.tenant_id = u.tenant_id left join settings s on s.tenant_id = u.tenant_id
    order by u.o;
end $$;

-- `create_invoices` for facts of these versions; a null is not looked at. Where one is older, none is made: its refusal
-- is 'stale', that of the others 'again'.
create function create_invoices_knowing(
    facts_versions bigint[], ids uuid[], tenants uuid[], given text[], prefixes text[], years integer[],
    drafts json, drafted_lines json, entries jsonb, entry_lines jsonb,
    event_invoices uuid[], event_tenants uuid[], event_ids uuid[], event_types text[], event_bodies text[],
    key_invoices uuid[], key_routes text[], key_values text[], key_fingerprints bytea[], key_bodies text[],
    key_hours integer
) returns table (invoice_id uuid, invoice_number text, refusal text) language plpgsql
set plan_cache_mode = force_generic_plan as $$
begin
    if exists (
        select from unnest(tenants, facts_versions) k (tenant_id, version)
        left join fact_versions f on f.tenant_id = k.tenant_id where k.version <> coalesce(f.version, 0)
    ) then
        return query select k.id, null::text, case when k.version <> coalesce(f.version, 0) then 'stale' else 'again' end
        from unnest(ids, tenants, facts_versions) with ordinality k (id, tenant_id, version, o)
        left join fact_versions f on f.tenant_id = k.tenant_id order by k.o;
    else
        return query select * from create_invoices(
            ids, tenants, given, prefixes, years, drafts, drafted_lines, entries, entry_lines,
            event_invoices, event_tenants, event_ids, event_types, event_bodies,
            key_invoices, key_routes, key_values, key_fingerprints, key_bodies, key_hours);
    end if;
end $$;
