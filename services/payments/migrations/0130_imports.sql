-- Bank files on their way to payments: the job, the bytes until it is done, and the rows that were refused.

create table payment_imports (
    tenant_id uuid not null,
    id uuid not null,
    status text not null check (status in ('processing', 'completed', 'failed')),
    format text not null,
    mapping jsonb,
    file_name text,
    size_bytes bigint not null,
    -- what the payments are made with
    currency text not null,
    created_by text not null,
    -- how many entries of the file are done; they are committed together with their payments, so a crash repeats nothing
    rows bigint not null default 0,
    accepted bigint not null default 0,
    duplicates bigint not null default 0,
    rejected bigint not null default 0,
    progress double precision not null default 0 check (progress between 0 and 1),
    error text,
    -- who works on it: every claim has its own number, and one that was overtaken can write no more
    claim bigint not null default 0,
    claimed_until timestamptz not null default clock_timestamp(),
    fruitless_claims integer not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    finished_at timestamptz,
    primary key (tenant_id, id)
);
create index payment_imports_created on payment_imports (tenant_id, created_at, id);
create index payment_imports_waiting on payment_imports (claimed_until) where status = 'processing';

create table payment_import_chunks (
    tenant_id uuid not null,
    import_id uuid not null,
    number integer not null,
    content bytea not null,
    primary key (tenant_id, import_id, number),
    foreign key (tenant_id, import_id) references payment_imports on delete cascade
);
-- read once and then deleted: compressing it would only cost time
alter table payment_import_chunks alter column content set storage external;

create table payment_import_rejections (
    tenant_id uuid not null,
    import_id uuid not null,
    position bigint not null,
    row bigint not null,
    reason text not null,
    primary key (tenant_id, import_id, position),
    foreign key (tenant_id, import_id) references payment_imports on delete cascade
);
