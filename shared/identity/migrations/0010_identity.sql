-- Who may call. Only the operator's command writes here; the services' roles read.
create table tenants (
    tenant_id uuid primary key,
    name text not null,
    live boolean not null,
    tier text not null check (tier in ('free', 'pro', 'enterprise')),
    timezone text not null,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    email text,
    created_at timestamptz not null default now()
);

create table api_keys (
    tenant_id uuid not null references tenants,
    key_id uuid not null,
    -- SHA-256 of the whole key: the key has 256 random bits, so a slow hash would add nothing but latency
    key_hash bytea not null unique,
    hint text not null,
    name text not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (tenant_id, key_id)
);

create table oauth_clients (
    tenant_id uuid not null references tenants,
    client_id text not null unique,
    secret_hash bytea not null,
    name text not null,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    revoked_at timestamptz,
    primary key (tenant_id, client_id)
);
