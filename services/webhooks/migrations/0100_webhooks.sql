-- Telling other systems: endpoints, the event log, and a delivery for each event and subscribed endpoint.

create table endpoints (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    url text not null,
    events text[] not null check (cardinality(events) > 0),
    description text,
    is_active boolean not null,
    ordered boolean not null,
    rate_limit_per_second integer check (rate_limit_per_second > 0),
    timeout_seconds integer not null check (timeout_seconds between 1 and 30),
    -- sealed with AES-256-GCM: the signing secret, the one before it while both sign, the custom headers (JSON)
    secret bytea not null,
    previous_secret bytea,
    previous_secret_until timestamptz,
    headers bytea,
    header_names text[] not null,
    disabled_at timestamptz,
    disabled_reason text check (disabled_reason in ('gone', 'failing')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create index endpoints_created on endpoints (tenant_id, created_at, id);

-- A new value with each change of a tenant's endpoints: intake compares it with that of its cache, in its transaction.
create table subscription_versions (
    tenant_id uuid primary key,
    version uuid not null
);

-- How an endpoint does: breaker, pause, and since when nothing works. No row: nothing is known yet.
create table health (
    tenant_id uuid not null,
    endpoint_id uuid not null,
    failures integer not null,
    failing_since timestamptz,
    last_success_at timestamptz,
    open_until timestamptz,
    cooldown_seconds integer not null,
    paused_until timestamptz,
    primary key (tenant_id, endpoint_id)
) with (fillfactor = 50);

-- Attempts by hour, so that the counts of 24 hours cost the same however many there were.
create table tallies (
    tenant_id uuid not null,
    endpoint_id uuid not null,
    hour timestamptz not null,
    delivered bigint not null,
    failed bigint not null,
    primary key (tenant_id, endpoint_id, hour)
) with (fillfactor = 50);

-- The meter of a rate limit: one row, so that all dispatchers together keep it.
create table meters (
    tenant_id uuid not null,
    endpoint_id uuid not null,
    meter timestamptz not null,
    primary key (tenant_id, endpoint_id)
) with (fillfactor = 50);

-- The event log and the history. An event's id is a UUIDv7 and so a point in time: ranges of it are ranges of time, the
-- keys stay what they mean (one delivery per event and endpoint), and retention is the drop of a week.
create table events (
    tenant_id uuid not null,
    id uuid not null,
    type text not null,
    subject uuid not null,
    sequence bigint not null,
    time timestamptz not null,
    -- the body that is signed and sent, byte for byte
    payload text not null,
    primary key (tenant_id, id)
) partition by range (id);
create index events_type on events (tenant_id, type, id);

create table deliveries (
    tenant_id uuid not null,
    endpoint_id uuid not null,
    event_id uuid not null,
    id uuid not null,
    event_type text not null,
    status text not null check (status in ('pending', 'retrying', 'delivered', 'failed')),
    attempts integer not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, endpoint_id, event_id)
) partition by range (event_id);
create index deliveries_listed on deliveries (tenant_id, endpoint_id, id);

create table attempts (
    tenant_id uuid not null,
    endpoint_id uuid not null,
    event_id uuid not null,
    attempt integer not null,
    attempted_at timestamptz not null,
    status_code integer,
    duration_ms integer not null,
    response_excerpt text,
    error text,
    primary key (tenant_id, endpoint_id, event_id, attempt)
) partition by range (event_id);

create table events_default partition of events default;
create table deliveries_default partition of deliveries default;
create table attempts_default partition of attempts default;

-- What is still to be delivered, and nothing else: small and hot, whatever the history holds.
create table queue (
    tenant_id uuid not null,
    endpoint_id uuid not null,
    event_id uuid not null,
    is_retry boolean not null default false,
    -- since it was last put here: the place in the schedule
    attempts integer not null default 0,
    due_at timestamptz not null,
    ordered boolean not null,
    subject uuid not null,
    sequence bigint not null,
    -- the fencing number of the claim, and who holds it; null: free
    lease bigint,
    dispatcher uuid,
    primary key (tenant_id, endpoint_id, event_id)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index queue_due on queue (tenant_id, endpoint_id, is_retry, due_at);
create index queue_order on queue (tenant_id, endpoint_id, subject, sequence, event_id) where ordered;
create sequence lease_numbers;

-- Dispatchers that live. Leases of one that is not here any more are free.
create table dispatchers (
    id uuid primary key,
    alive_until timestamptz not null
) with (fillfactor = 50);

-- An endpoint takes its history with it; what waits for it follows its settings.
create function forget_endpoint() returns trigger language plpgsql as $$
begin
    delete from queue where tenant_id = old.tenant_id and endpoint_id = old.id;
    delete from attempts where tenant_id = old.tenant_id and endpoint_id = old.id;
    delete from deliveries where tenant_id = old.tenant_id and endpoint_id = old.id;
    delete from health where tenant_id = old.tenant_id and endpoint_id = old.id;
    delete from tallies where tenant_id = old.tenant_id and endpoint_id = old.id;
    delete from meters where tenant_id = old.tenant_id and endpoint_id = old.id;
    return null;
end $$;
create trigger endpoints_forgotten after delete on endpoints for each row execute function forget_endpoint();

create function requeue_endpoint() returns trigger language plpgsql as $$
begin
    update queue set ordered = new.ordered, due_at = least(due_at, now())
    where tenant_id = new.tenant_id and endpoint_id = new.id;
    return null;
end $$;
create trigger endpoints_requeued after update on endpoints for each row
    when (old.ordered <> new.ordered or (new.is_active and not old.is_active))
    execute function requeue_endpoint();

-- The least UUIDv7 of an instant.
create function uuid_at(instant timestamptz) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Make the partition of one week, moving over what the default partition caught meanwhile.
create function make_week(parent text, week timestamptz) returns void language plpgsql as $$
declare
    partition text := format('%s_%s', parent, to_char(week at time zone 'UTC', 'YYYYMMDD'));
    key text := case parent when 'events' then 'id' else 'event_id' end;
    low uuid := uuid_at(week);
    high uuid := uuid_at(week + interval '7 days');
begin
    if to_regclass(partition) is not null then
        return;
    end if;
    execute format('create table %I (like %I including defaults including constraints)', partition, parent);
    execute format('with moved as (delete from %I where %I >= %L and %I < %L returning *) insert into %I select * from moved',
        parent || '_default', key, low, key, high, partition);
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, partition, low, high);
end $$;

-- Make partitions ahead, drop those that ended before the oldest day to keep. The service's role owns no tables, so it
-- runs with the rights of the owner; that is all that it lets the role do to them.
create function keep_weeks(keep_from timestamptz, weeks_ahead integer) returns setof text
language plpgsql security definer set search_path from current as $$
declare
    parent text;
    partition text;
    monday timestamptz := date_trunc('week', now() at time zone 'UTC') at time zone 'UTC';
begin
    perform set_config('lock_timeout', '3s', true);
    foreach parent in array array['events', 'deliveries', 'attempts'] loop
        for week in -1..weeks_ahead loop
            perform make_week(parent, monday + week * interval '7 days');
        end loop;
        for partition in
            select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = to_regclass(parent) and c.relname ~ '_[0-9]{8}$'
                and (to_date(right(c.relname, 8), 'YYYYMMDD') + 7)::timestamp at time zone 'UTC' <= keep_from
        loop
            execute format('drop table %I', partition);
            return next partition;
        end loop;
    end loop;
end $$;
revoke execute on function keep_weeks from public;

do $$ begin perform keep_weeks('-infinity', 8); end $$;
