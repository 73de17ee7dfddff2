-- The trace that an event belongs to goes on to its receivers. Null where it has none.
alter table events add column traceparent text;
