-- +goose Up

-- How far GitHub's list of deliveries was read; one row. Nothing is looked for that is older than
-- this server's first start.
CREATE TABLE delivery_sweep (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    since      timestamptz NOT NULL,     -- what was attempted before has arrived, or is in missed_deliveries
    cursor     text NOT NULL DEFAULT '', -- GitHub's: the page where an interrupted reading goes on; empty: none is under way
    next_since timestamptz NOT NULL      -- since, once that reading is at its end
);
INSERT INTO delivery_sweep (since, next_since) SELECT at, at FROM (SELECT coalesce(min(received_at), now()) AS at FROM deliveries) first;

-- Deliveries that GitHub lists and we lack, until each is stored as if it had arrived.
CREATE TABLE missed_deliveries (
    guid         text PRIMARY KEY,
    event        text NOT NULL,
    attempt_id   bigint NOT NULL,        -- GitHub's id of the newest attempt
    attempted_at timestamptz NOT NULL,   -- the first attempt
    urgent       boolean NOT NULL,       -- goes before all that are not
    tries        int NOT NULL DEFAULT 0  -- that failed
);

-- Handled deliveries are deleted after some days.
CREATE INDEX deliveries_handled ON deliveries (handled_at) WHERE handled_at IS NOT NULL;
