-- Answers kept for 24 hours, written in the transaction that did the work (docs/api.md, retry safety).
create table idempotency_keys (
    tenant_id uuid not null,
    route text not null,
    key text not null,
    fingerprint bytea not null,
    status smallint not null,
    body bytea not null,
    created_at timestamptz not null default now(),
    primary key (tenant_id, route, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
