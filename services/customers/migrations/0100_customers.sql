create table customers (
    tenant_id uuid not null,
    id uuid not null,
    -- the caller's own id
    customer_id text not null,
    company_name text not null,
    address text,
    timezone text,
    payment_terms_days integer check (payment_terms_days between 0 and 3650),
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, customer_id)
);
create index customers_newest on customers (tenant_id, created_at, id);
create index customers_by_name on customers (tenant_id, company_name, id);

create table contacts (
    tenant_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    contact_name text not null,
    email text not null,
    phone text,
    phone_type text,
    phone_secondary text,
    phone_type_secondary text,
    is_primary boolean not null,
    escalation_level integer not null default 0 check (escalation_level >= 0),
    title text,
    notes text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade
);
create index contacts_of_customer on contacts (tenant_id, customer_id, created_at, id);
-- never two primary contacts; that there is one is kept by the code, since a change passes through a moment without
create unique index contacts_one_primary on contacts (tenant_id, customer_id) where is_primary;

create table tags (
    tenant_id uuid not null,
    id uuid not null,
    name text not null,
    color text not null check (color ~ '^#[0-9a-fA-F]{6}$'),
    version bigint not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create unique index tags_by_name on tags (tenant_id, lower(name));
create index tags_newest on tags (tenant_id, created_at, id);

create table customer_tags (
    tenant_id uuid not null,
    customer_id uuid not null,
    tag_id uuid not null,
    primary key (tenant_id, customer_id, tag_id),
    foreign key (tenant_id, customer_id) references customers (tenant_id, id) on delete cascade,
    foreign key (tenant_id, tag_id) references tags (tenant_id, id) on delete cascade
);
create index customer_tags_by_tag on customer_tags (tenant_id, tag_id, customer_id);
