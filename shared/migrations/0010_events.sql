-- Events on their way out, in and astray, and who may do what alone (docs/events.md).

-- What the service has announced and the bus has not confirmed yet. Ids become visible out of order, since transactions
-- commit out of order: the relay deletes what is confirmed and never trusts a highest id.
create table outbox (
    tenant_id uuid not null,
    id bigint generated always as identity primary key,
    event_id uuid not null,
    type text not null,
    body text not null,
    created_at timestamptz not null default now()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- a body lives for milliseconds: compressing it would cost ten times what writing it costs
alter table outbox alter column body set storage external;

-- What the service has handled: an event whose id is here has had its effect.
create table inbox (
    event_id uuid primary key,
    received_at timestamptz not null default now()
) with (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000);
create index inbox_age on inbox using brin (received_at);

-- Work that one process at a time may do. A lease that is over may be taken; taking it raises the fencing number.
create table leases (
    name text primary key,
    holder text not null,
    fencing bigint not null,
    expires_at timestamptz not null
) with (fillfactor = 50);

-- Events that could not be handled, on the bus inside the process (RabbitMQ keeps them in arpilot.<service>.dead).
create table dead_events (
    tenant_id uuid not null,
    event_id uuid primary key,
    type text not null,
    body text not null,
    reason text not null,
    attempts integer not null,
    died_at timestamptz not null default now(),
    requeued_at timestamptz
);
create index dead_events_requeued on dead_events (requeued_at) where requeued_at is not null;
