-- What cash application works on: our own copy of invoices, the payers' other names, and the payments that wait.

-- Every change of a tenant's copy takes the next tick under this row's lock, so that "all rows after tick n" is exact and
-- an index in memory can be kept in step by reading only what is new.
create table matching_clocks (
    tenant_id uuid primary key,
    tick bigint not null
);

create table known_invoices (
    tenant_id uuid not null,
    id uuid not null,
    customer_id uuid not null,
    customer_name text not null,
    number text,
    number_keys text[] not null,
    currency text not null,
    amount_cents bigint not null,
    due_cents bigint not null,
    -- allocations that the amount due has taken into account, and what others have asked of it besides
    counted uuid[] not null default '{}',
    claimed_cents bigint not null default 0 check (claimed_cents >= 0),
    issue_date date not null,
    due_date date not null,
    terms text,
    status text not null,
    archived boolean not null,
    sequence bigint not null,
    tick bigint not null,
    primary key (tenant_id, id)
);
create index known_invoices_tick on known_invoices (tenant_id, tick);
create index known_invoices_open on known_invoices (tenant_id)
    where due_cents > 0 and not archived and status not in ('draft', 'cancelled', 'deleted');
create index known_invoices_keys on known_invoices using gin (number_keys);
create index known_invoices_customer on known_invoices (tenant_id, customer_id);

-- Names under which customers were seen to pay. One that people undid more often than it was right tells nothing.
create table payer_aliases (
    tenant_id uuid not null,
    name_key text not null,
    customer_id uuid not null,
    confirmed integer not null default 0,
    undone integer not null default 0,
    tick bigint not null,
    primary key (tenant_id, name_key, customer_id)
);
create index payer_aliases_tick on payer_aliases (tenant_id, tick);
create index payer_aliases_customer on payer_aliases (tenant_id, customer_id);

-- Payments with money left. Those with a time in `queued_at` are to be examined; the others wait for an invoice that may
-- explain them: one of their amount, their payer, or a number in their text.
create table waiting_payments (
    tenant_id uuid not null,
    payment_id uuid not null,
    amount_cents bigint not null,
    payer_key text,
    text_keys text[] not null,
    queued_at timestamptz,
    primary key (tenant_id, payment_id)
);
create index waiting_payments_queue on waiting_payments (queued_at) where queued_at is not null;
create index waiting_payments_amount on waiting_payments (tenant_id, amount_cents);
create index waiting_payments_payer on waiting_payments (tenant_id, payer_key) where payer_key is not null;
create index waiting_payments_keys on waiting_payments using gin (text_keys);

-- The audit trail: every decision about a payment, why, and who took it. Only ever added to.
create table matching_trail (
    tenant_id uuid not null,
    id uuid not null,
    payment_id uuid not null,
    action text not null check (action in ('applied', 'refused', 'undone')),
    invoice_ids uuid[] not null,
    actor text not null,
    rule text,
    confidence numeric,
    evidence text[] not null,
    created_at timestamptz not null,
    primary key (tenant_id, id)
);
create index matching_trail_payment on matching_trail (tenant_id, payment_id, created_at);
do $$
begin
    if exists (select from pg_roles where rolname = 'arpilot_payments') then
        revoke update, delete, truncate on matching_trail from arpilot_payments;
    end if;
end
$$;

create table matching_settings (
    tenant_id uuid primary key,
    auto_match boolean not null,
    threshold numeric not null check (threshold > 0 and threshold <= 1),
    tolerance_cents bigint not null check (tolerance_cents >= 0)
);
