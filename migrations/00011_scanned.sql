-- +goose Up

-- What was searched for secrets and held none, so that it need not be read again. A key is a hash over the object's
-- id, its path and the rules; neither a text nor a finding is kept.
CREATE TABLE scanned (
    project_id uuid NOT NULL REFERENCES projects (id),
    key        bytea NOT NULL CHECK (length(key) = 32),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, key)
);
CREATE INDEX scanned_by_age ON scanned (seen_at);
