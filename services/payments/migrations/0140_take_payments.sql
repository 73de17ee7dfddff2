-- Taking in single payments, many requests in one statement, with their announcements and the answers to their keys.
--
-- The arrays are parallel; a request without an Idempotency-Key has null there. Returns the ids of the payments that are
-- new: whoever's key was answered before, or is being answered, and whose external id is taken, is left to the plain way.
create function take_payments(
    tenants uuid[], drafts json, event_ids uuid[], event_types text[], event_bodies text[],
    key_routes text[], key_values text[], key_fingerprints bytea[], key_bodies bytea[], key_hours integer
) returns setof uuid language plpgsql
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
    mine boolean[];
begin
    -- A statement of its own: the next one begins with the locks in hand, and so sees what their last holders committed.
    select array_agg(k.value is null
        or pg_try_advisory_xact_lock(hashtextextended(k.tenant_id || '|' || k.route || '|' || k.value, 0)) order by k.o)
    into mine
    from unnest(tenants, key_routes, key_values) with ordinality k (tenant_id, route, value, o);

    return query with given as (
        select k.*, d.id, d.amount_cents, d.currency, d.payment_date, d.payment_method, d.payer_name,
            d.payer_reference, d.external_payment_id, d.notes, d.source, d.created_by, d.created_at
        from json_populate_recordset(null::payments, drafts) with ordinality d
        join unnest(tenants, mine, event_ids, event_types, event_bodies, key_routes, key_values, key_fingerprints,
            key_bodies) with ordinality
            k (tenant_id, mine, event_id, event_type, event_body, route, key, fingerprint, body, o)
            on k.o = d.ordinality
        where k.mine and not exists (
            select from idempotency_keys i
            where i.tenant_id = k.tenant_id and i.route = k.route and i.key = k.key
                and i.created_at > now() - make_interval(hours => key_hours))
    ), made as (
        insert into payments (tenant_id, id, amount_cents, currency, payment_date, payment_method, payer_name,
            payer_reference, external_payment_id, notes, source, created_by, created_at, updated_at)
        select tenant_id, id, amount_cents, currency, payment_date, payment_method, payer_name,
            payer_reference, external_payment_id, notes, source, created_by, created_at, created_at
        from given order by tenant_id, external_payment_id
        on conflict (tenant_id, external_payment_id) do nothing
        returning payments.id
    ), told as (
        insert into outbox (tenant_id, event_id, type, body)
        select g.tenant_id, g.event_id, g.event_type, g.event_body from given g join made m on m.id = g.id order by g.o
    ), kept as (
        insert into idempotency_keys (tenant_id, route, key, fingerprint, status, body)
        select g.tenant_id, g.route, g.key, g.fingerprint, 201, g.body
        from given g join made m on m.id = g.id where g.key is not null
        on conflict (tenant_id, route, key) do update set fingerprint = excluded.fingerprint,
            status = excluded.status, body = excluded.body, created_at = now()
    )
    select m.id from made m;
end $$;
