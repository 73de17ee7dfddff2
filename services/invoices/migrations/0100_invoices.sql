-- What is owed: invoices and their lines, and the numbers they carry. Amounts are cents; every table begins with its tenant.

create table invoices (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null,
    invoice_number text,
    customer_id uuid not null,
    customer_name text not null,
    customer_address text,
    currency text not null check (currency ~ '^[A-Z]{3}$'),
    issue_date date not null,
    due_date date not null,
    status text not null check (status in (
        'draft', 'pending', 'partial', 'paid', 'overdue', 'in_dispute', 'in_payment_plan', 'cancelled')),
    status_pinned boolean not null,
    -- in_dispute or in_payment_plan set by hand, without a dispute or a plan behind it
    hand_status text check (hand_status in ('in_dispute', 'in_payment_plan')),
    disputed boolean not null,
    in_plan boolean not null,
    -- true: the amounts follow from the lines; false: from the amount that the caller gave
    by_lines boolean not null,
    tax_type text not null check (tax_type in ('summary', 'inline')),
    tax_rate_ids uuid[] not null,
    taxes jsonb not null,
    tax_rate numeric,
    given_tax_cents bigint,
    discount_type text not null check (discount_type in ('none', 'fixed', 'percentage')),
    discount_value numeric not null,
    adjustment_description text,
    subtotal_cents bigint not null,
    discount_cents bigint not null,
    tax_cents bigint not null,
    adjustment_cents bigint not null,
    amount_cents bigint not null check (amount_cents > 0),
    amount_due_cents bigint not null check (amount_due_cents >= 0),
    matched_cents bigint not null check (matched_cents >= 0),
    external_payment_cents bigint not null check (external_payment_cents >= 0),
    credited_cents bigint not null check (credited_cents >= 0),
    written_off_cents bigint not null check (written_off_cents >= 0),
    notes text,
    memo text,
    note_to_customer text,
    terms text,
    tags text[] not null,
    category text,
    project text,
    exclude_from_autopay boolean not null,
    source_type text not null check (source_type in ('api', 'manual', 'quickbooks', 'import')),
    pdf_source text check (pdf_source in ('user_upload', 'arpilot_generated', 'quickbooks')),
    pdf_key text,
    sent_at timestamptz,
    last_notification_at timestamptz,
    published_at timestamptz,
    archived_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id),
    constraint invoices_totals check (amount_cents = subtotal_cents - discount_cents + tax_cents + adjustment_cents),
    constraint invoices_balance check (amount_cents
        = amount_due_cents + matched_cents + external_payment_cents + credited_cents + written_off_cents)
);
create unique index invoices_number on invoices (tenant_id, invoice_number) where invoice_number is not null;
create index invoices_created on invoices (tenant_id, created_at, id);
create index invoices_status on invoices (tenant_id, status, created_at, id);
create index invoices_customer on invoices (tenant_id, customer_id, created_at, id);
create index invoices_due on invoices (tenant_id, due_date, id);
create index invoices_tags on invoices using gin (tags) where tags <> '{}';
-- what the clock looks for every minute, over all tenants
create index invoices_turning_overdue on invoices (due_date)
    where status in ('pending', 'partial') and not status_pinned;

create table line_items (
    tenant_id uuid not null,
    invoice_id uuid not null,
    id uuid not null,
    position integer not null,
    description text not null,
    long_description text,
    quantity numeric not null check (quantity > 0),
    unit text,
    unit_price numeric,
    -- the line's amount as the caller gave it; otherwise it is quantity times unit price
    given_amount_cents bigint,
    product_id uuid,
    account_id uuid,
    taxable boolean not null,
    tax_rate_id uuid,
    -- the rate when the line was priced; a later change of the tax rate does not touch the invoice
    tax_rate numeric,
    tax_name text,
    discount_type text not null check (discount_type in ('none', 'fixed', 'percentage')),
    discount_value numeric not null,
    gross_cents bigint not null,
    discount_cents bigint not null,
    -- gross less the line's discount
    net_cents bigint not null,
    -- its share of the invoice's discount, and its tax where tax is inline
    shared_discount_cents bigint not null,
    tax_cents bigint not null,
    primary key (tenant_id, invoice_id, id)
);

-- Gapless numbers: the row is locked until the invoice that took the number is committed.
create table counters (
    tenant_id uuid not null,
    kind text not null check (kind in ('invoice', 'credit_note')),
    prefix text not null,
    year integer not null,
    last bigint not null,
    primary key (tenant_id, kind, prefix, year)
);

-- How many invoices there are, as sums of changes: appended without locking anything, folded together by a job.
create table invoice_counts (
    tenant_id uuid not null,
    status text not null,
    archived boolean not null,
    invoices bigint not null
);
create index invoice_counts_tenant on invoice_counts (tenant_id, status);

-- The customers service owns customers; this is the copy that invoices are made from. Newest sequence wins.
create table recipients (
    tenant_id uuid not null,
    customer_id uuid not null,
    display_name text not null,
    email text,
    address text,
    payment_terms_days integer,
    sequence bigint not null,
    deleted_at timestamptz,
    primary key (tenant_id, customer_id)
);

-- Money of payments on invoices; `allocation_id` is the payments service's, and the same one is answered the same.
create table applications (
    tenant_id uuid not null,
    allocation_id uuid not null,
    -- barred: reversed before it ever arrived, so that it is never applied
    status text not null check (status in ('applied', 'refused', 'reversed', 'barred')),
    payment_id uuid,
    invoice_id uuid,
    applied_cents bigint not null check (applied_cents >= 0),
    write_off_cents bigint not null check (write_off_cents >= 0),
    -- what was due after it, or when it was refused
    amount_due_cents bigint not null,
    currency text,
    payment_date date,
    payment_method text,
    payer_name text,
    payer_reference text,
    code text,
    detail text,
    created_at timestamptz not null,
    reversed_at timestamptz,
    primary key (tenant_id, allocation_id)
);
create index applications_invoice on applications (tenant_id, invoice_id) where status = 'applied';

-- What the tenant set for invoicing; a null means the default, or what the operator set for the tenant.
create table settings (
    tenant_id uuid primary key,
    version integer not null default 1,
    invoice_prefix text not null default 'INV',
    number_on text not null default 'create' check (number_on in ('create', 'issue')),
    payment_terms_days integer not null default 30 check (payment_terms_days between 0 and 3650),
    timezone text,
    currency text check (currency ~ '^[A-Z]{3}$'),
    multi_currency boolean not null default false,
    branding jsonb not null default '{}',
    updated_at timestamptz not null default now()
);
