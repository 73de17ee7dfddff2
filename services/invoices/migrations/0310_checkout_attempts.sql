-- Money that was paid on a hosted page and that the payments service refuses to book: tried ever more rarely, then left
-- to a person as `refused` (rendering/actions.py, BOOKING_PAUSES). Old code ignores the columns and goes on.
alter table checkouts add column attempts integer not null default 0;
alter table checkouts add column next_attempt_at timestamptz not null default '-infinity';
alter table checkouts add column refusal text;
alter table checkouts drop constraint checkouts_status_check;
alter table checkouts add constraint checkouts_status_check
    check (status in ('open', 'paid', 'booked', 'failed', 'refused'));
