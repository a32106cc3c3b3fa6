-- Up to which time a sync's schedule is done: two processes start it once for each time.
ALTER TABLE syncs ADD COLUMN scheduled_until TEXT;
