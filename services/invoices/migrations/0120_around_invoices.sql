-- What stands around invoices: what is sold, tax rates, disputes, payment plans and credit notes.

create table products (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    name text not null,
    description text,
    unit_price numeric(18, 6),
    unit text,
    account_id uuid,
    taxable boolean not null default true,
    tax_rate_id uuid,
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

create table tax_rates (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    name text not null,
    rate numeric(7, 6) not null check (rate between 0 and 1),
    archived_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (tenant_id, id)
);

create table disputes (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    invoice_id uuid not null,
    customer_id uuid not null,
    currency text not null,
    status text not null check (status in ('open', 'resolved')),
    reason text not null,
    amount_cents bigint not null check (amount_cents > 0),
    notes text,
    resolution text check (resolution in ('upheld', 'rejected')),
    resolution_notes text,
    credit_note_id uuid,
    resolved_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create unique index disputes_open on disputes (tenant_id, invoice_id) where status = 'open';
create index disputes_created on disputes (tenant_id, created_at, id);

create table plans (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    customer_id uuid not null,
    currency text not null,
    status text not null check (status in ('active', 'completed', 'defaulted', 'cancelled')),
    amount_cents bigint not null check (amount_cents > 0),
    frequency text check (frequency in ('weekly', 'biweekly', 'monthly')),
    notes text,
    -- when it stopped being active
    ended_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create index plans_created on plans (tenant_id, created_at, id);
create index plans_active on plans (tenant_id) where status = 'active';

create table plan_invoices (
    tenant_id uuid not null,
    plan_id uuid not null,
    invoice_id uuid not null,
    -- what was due on it when the plan was made
    amount_cents bigint not null,
    active boolean not null,
    primary key (tenant_id, plan_id, invoice_id)
);
create unique index plan_invoices_active on plan_invoices (tenant_id, invoice_id) where active;

create table instalments (
    tenant_id uuid not null,
    plan_id uuid not null,
    position integer not null,
    due_date date not null,
    amount_cents bigint not null check (amount_cents > 0),
    primary key (tenant_id, plan_id, position)
);

create table credit_notes (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    credit_note_number text not null,
    invoice_id uuid not null,
    customer_id uuid not null,
    currency text not null,
    reason text not null,
    credit_date date not null,
    amount_cents bigint not null check (amount_cents > 0),
    tax_cents bigint not null,
    -- net that stands on no line of the invoice
    rest_cents bigint not null default 0,
    -- what is on invoices, and what is still the customer's unapplied credit
    applied_cents bigint not null check (applied_cents >= 0),
    unapplied_cents bigint not null check (unapplied_cents >= 0),
    dispute_id uuid,
    -- who made it, as the journal of changes names them
    created_by text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    check (amount_cents = applied_cents + unapplied_cents)
);
create unique index credit_notes_number on credit_notes (tenant_id, credit_note_number);
create index credit_notes_invoice on credit_notes (tenant_id, invoice_id);
create index credit_notes_customer on credit_notes (tenant_id, customer_id, created_at, id);
create index credit_notes_created on credit_notes (tenant_id, created_at, id);

create table credit_note_lines (
    tenant_id uuid not null,
    credit_note_id uuid not null,
    position integer not null,
    line_item_id uuid not null,
    quantity numeric(18, 6) not null,
    net_cents bigint not null,
    primary key (tenant_id, credit_note_id, position)
);

create table credit_applications (
    tenant_id uuid not null,
    id uuid not null,
    credit_note_id uuid not null,
    invoice_id uuid not null,
    amount_cents bigint not null check (amount_cents > 0),
    created_at timestamptz not null,
    primary key (tenant_id, id)
);
create index credit_applications_note on credit_applications (tenant_id, credit_note_id);
create index credit_applications_invoice on credit_applications (tenant_id, invoice_id);
