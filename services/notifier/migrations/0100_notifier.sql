-- Telling people: what customers, invoices and plans look like from here, templates, mails and reminders.
-- Amounts are cents; every table begins with its tenant. Copies of other services' objects keep the newest sequence.

create table settings (
    tenant_id uuid primary key,
    version integer not null,
    sender_name text,
    reply_to text,
    daily_limit integer not null check (daily_limit between 0 and 1000000),
    business_start time not null,
    business_end time not null check (business_end > business_start),
    business_days integer[] not null check (cardinality(business_days) between 1 and 7),
    hold_for_business_hours boolean not null,
    send_receipts boolean not null,
    instalment_notice_days integer check (instalment_notice_days between 0 and 60),
    updated_at timestamptz not null
);

create table templates (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null,
    name text not null,
    type text not null check (type = 'email'),
    template_stage text not null,
    subject text not null,
    html text not null,
    text text not null,
    is_system boolean not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create unique index templates_name on templates (tenant_id, lower(name));

create table customers (
    tenant_id uuid not null,
    customer_id uuid not null,
    sequence bigint not null,
    company_name text not null,
    timezone text,
    -- ids and titles of its tags, since schedules may name either
    tags text[] not null,
    deleted_at timestamptz,
    primary key (tenant_id, customer_id)
);

create table contacts (
    tenant_id uuid not null,
    customer_id uuid not null,
    contact_id uuid not null,
    name text not null,
    email text not null,
    phone text,
    is_primary boolean not null,
    escalation_level integer not null,
    primary key (tenant_id, customer_id, contact_id)
);

-- Who asked not to be reminded; kept under the address, so that it outlives a contact that is made anew.
create table unsubscribed (
    tenant_id uuid not null,
    email text not null check (email = lower(email)),
    created_at timestamptz not null,
    primary key (tenant_id, email)
);

create table invoices (
    tenant_id uuid not null,
    invoice_id uuid not null,
    sequence bigint not null,
    customer_id uuid not null,
    invoice_number text,
    status text not null,
    due_date date not null,
    currency text not null,
    amount_due_cents bigint not null,
    archived boolean not null,
    -- when the dunning clock looks at it next; an event or a changed schedule brings it forward
    look_at timestamptz not null,
    primary key (tenant_id, invoice_id)
);
create index invoices_customer on invoices (tenant_id, customer_id);
create index invoices_dunning on invoices (tenant_id, look_at) where status in ('pending', 'partial', 'overdue');

create table plan_instalments (
    tenant_id uuid not null,
    plan_id uuid not null,
    number integer not null,
    customer_id uuid not null,
    invoice_id uuid not null,
    due_date date not null,
    amount_cents bigint not null,
    currency text not null,
    notified_at timestamptz,
    primary key (tenant_id, plan_id, number)
);
create index plan_instalments_due on plan_instalments (due_date) where notified_at is null;

create table communications (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null,
    kind text not null,
    template_id uuid,
    template_stage text,
    customer_id uuid,
    invoice_id uuid,
    invoice_ids uuid[] not null,
    contact_id uuid,
    to_name text not null,
    to_email text not null,
    to_phone text,
    cc text[] not null,
    cc_self boolean not null,
    status text not null check (status in ('pending', 'sending', 'sent', 'failed', 'cancelled')),
    scheduled_for timestamptz not null,
    attempts integer not null,
    next_attempt_at timestamptz,
    -- whose turn it is, and until when; a turn that is over may be taken by another process
    turn uuid,
    turn_until timestamptz,
    -- set in a transaction of its own right before the message goes: what died after it may have left
    handed_over_at timestamptz,
    message_id text,
    subject text,
    text text,
    html text,
    -- facts for the template that no invoice tells: a payment, an instalment, a notice's own words
    facts jsonb not null,
    -- the mail of a test tenant: kept readable, never sent
    held boolean not null,
    error_code text,
    error text,
    cancel_reason text,
    requested_by text,
    sent_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create index communications_created on communications (tenant_id, created_at, id);
create index communications_invoices on communications using gin (invoice_ids);
create index communications_customer on communications (tenant_id, customer_id, created_at);
create index communications_waiting on communications (next_attempt_at) where status = 'pending';
create index communications_in_turn on communications (turn_until) where status = 'sending';

-- Mails handed over per day of the tenant's time zone.
create table daily_counts (
    tenant_id uuid not null,
    day date not null,
    mails integer not null,
    primary key (tenant_id, day)
);

create table dunning_schedules (
    tenant_id uuid not null,
    id uuid not null,
    version integer not null,
    name text not null,
    is_active boolean not null,
    is_default boolean not null,
    tags text[] not null,
    customer_ids uuid[] not null,
    steps jsonb not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (tenant_id, id)
);
create unique index dunning_schedules_name on dunning_schedules (tenant_id, lower(name));
create unique index dunning_schedules_default on dunning_schedules (tenant_id) where is_default;

create table dunning_pauses (
    tenant_id uuid not null,
    id uuid not null,
    customer_id uuid,
    invoice_id uuid,
    until date,
    reason text,
    created_at timestamptz not null,
    primary key (tenant_id, id),
    check (num_nonnulls(customer_id, invoice_id) = 1)
);
create index dunning_pauses_invoice on dunning_pauses (tenant_id, invoice_id) where invoice_id is not null;
create index dunning_pauses_customer on dunning_pauses (tenant_id, customer_id) where customer_id is not null;

-- Each step at most once for a due date: a moved due date starts anew.
create table dunning_steps (
    tenant_id uuid not null,
    invoice_id uuid not null,
    due_date date not null,
    days integer not null,
    outcome text not null check (outcome in ('sent', 'passed_over', 'nobody')),
    communication_id uuid,
    done_at timestamptz not null,
    primary key (tenant_id, invoice_id, due_date, days)
);

create table late_fees (
    tenant_id uuid not null,
    invoice_id uuid not null,
    due_date date not null,
    days integer not null,
    customer_id uuid not null,
    invoice_number text,
    currency text not null,
    amount_cents bigint not null check (amount_cents > 0),
    status text not null check (status in ('pending', 'charged', 'refused')),
    fee_invoice_id uuid,
    reason text,
    created_at timestamptz not null,
    primary key (tenant_id, invoice_id, due_date, days)
);
create index late_fees_pending on late_fees (created_at) where status = 'pending';
