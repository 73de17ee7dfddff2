-- One row for each bookable fact that the accounting system must hear of.

create table reconciliation_changes (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null default 1,
    -- what it came from, such as application:<allocation>: the same fact heard twice is one row
    source text not null,
    change_type text not null check (change_type in ('invoice_issued', 'invoice_changed', 'invoice_voided',
        'payment_applied', 'payment_unapplied', 'credit_note_issued', 'write_off', 'refund')),
    invoice_id uuid,
    invoice_number text,
    customer_id uuid,
    payment_id uuid,
    credit_note_id uuid,
    currency text not null,
    amount_before_cents bigint not null,
    amount_after_cents bigint not null,
    lines jsonb not null,
    description text not null,
    actor text,
    occurred_at timestamptz not null,
    approval_status text not null check (approval_status in ('approved', 'waiting')),
    approved_by text,
    approved_at timestamptz,
    sync_status text not null default 'pending' check (sync_status in ('pending', 'synced', 'failed')),
    sync_error text,
    synced_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    unique (tenant_id, source)
);
create index reconciliation_created on reconciliation_changes (tenant_id, created_at, id);
create index reconciliation_sync on reconciliation_changes (tenant_id, sync_status, created_at, id);
create index reconciliation_invoice on reconciliation_changes (tenant_id, invoice_id) where invoice_id is not null;
create index reconciliation_customer on reconciliation_changes (tenant_id, customer_id) where customer_id is not null;

create table reconciliation_settings (
    tenant_id uuid primary key,
    -- write-offs and credit notes above this wait for approval; null: none do
    approval_limit_cents bigint check (approval_limit_cents >= 0)
);
