-- Documents and the page where a customer pays.

-- Invoices made with generate_pdf whose document is still to be rendered.
create table pdf_requests (
    tenant_id uuid not null,
    invoice_id uuid not null,
    requested_at timestamptz not null,
    attempts integer not null default 0,
    next_attempt_at timestamptz not null,
    primary key (tenant_id, invoice_id)
);
create index pdf_requests_next on pdf_requests (next_attempt_at);

-- A customer on the way through a payment provider. Its id is the payment's external id, so that money counts once.
create table checkouts (
    tenant_id uuid not null,
    id uuid not null,
    invoice_id uuid not null,
    provider text not null check (provider in ('sandbox', 'stripe')),
    -- the provider's own id of the session
    session_id text,
    amount_cents bigint not null check (amount_cents > 0),
    currency text not null,
    status text not null check (status in ('open', 'paid', 'booked', 'failed')),
    payer_name text,
    payment_id uuid,
    created_at timestamptz not null,
    paid_at timestamptz,
    primary key (tenant_id, id)
);
create unique index checkouts_session on checkouts (provider, session_id) where session_id is not null;
create index checkouts_invoice on checkouts (tenant_id, invoice_id, created_at);
create index checkouts_paid on checkouts (paid_at) where status = 'paid';
