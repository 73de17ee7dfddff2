-- What was paid: payments, what of them went to which invoice, and what was paid back. Amounts are cents.

create table payments (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    amount_cents bigint not null check (amount_cents > 0),
    -- sums over allocations: what invoices has confirmed, and what it has been asked for and not answered yet
    applied_cents bigint not null default 0 check (applied_cents >= 0),
    reserved_cents bigint not null default 0 check (reserved_cents >= 0),
    reversing boolean not null default false,
    refunded_cents bigint not null default 0 check (refunded_cents >= 0),
    unapplied_cents bigint generated always as (amount_cents - refunded_cents - applied_cents) stored
        check (amount_cents - refunded_cents - applied_cents >= 0),
    status text generated always as (case
        when applied_cents = 0 then 'unmatched'
        when amount_cents - refunded_cents - applied_cents = 0 then 'matched'
        else 'partially_matched' end) stored,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    payment_date date not null,
    payment_method text,
    payer_name text,
    payer_reference text,
    external_payment_id text not null,
    notes text,
    customer_id uuid,
    deposit_account_id uuid,
    reviewed boolean not null default false,
    source text not null check (source in ('api', 'import', 'recorded')),
    created_by text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, external_payment_id)
);
create index payments_created on payments (tenant_id, created_at, id);
create index payments_dated on payments (tenant_id, payment_date, id);
create index payments_amount on payments (tenant_id, amount_cents, id);
create index payments_customer on payments (tenant_id, customer_id, created_at) where customer_id is not null;

-- The intent to put money on an invoice, written before the invoices service is asked, so that no crash loses or doubles it.
-- pending: asked for; applied, refused: answered; reversing: asked to be taken back; reversed: taken back.
create table allocations (
    tenant_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    invoice_id uuid not null,
    invoice_number text,
    customer_id uuid,
    amount_cents bigint not null check (amount_cents > 0),
    applied_cents bigint not null default 0 check (applied_cents >= 0),
    write_off_cents bigint not null default 0 check (write_off_cents >= 0),
    exact boolean not null,
    state text not null check (state in ('pending', 'applied', 'refused', 'reversing', 'reversed')),
    matched_by text not null,
    rule text,
    confidence numeric,
    evidence text[] not null default '{}',
    invoice_due_cents bigint,
    refusal_code text,
    refusal_detail text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, payment_id) references payments on delete cascade
);
create index allocations_payment on allocations (tenant_id, payment_id, created_at);
create index allocations_invoice on allocations (tenant_id, invoice_id);
create index allocations_unanswered on allocations (updated_at) where state in ('pending', 'reversing');

create table refunds (
    tenant_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    amount_cents bigint not null check (amount_cents > 0),
    refund_date date not null,
    reason text,
    created_by text not null,
    created_at timestamptz not null,
    primary key (tenant_id, id),
    foreign key (tenant_id, payment_id) references payments on delete cascade
);
create index refunds_payment on refunds (tenant_id, payment_id, created_at);
