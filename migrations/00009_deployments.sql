-- +goose Up

-- A thing may be at two places for a while: one that the operator moved is made at the new place before it goes from the old one.
ALTER TABLE resources DROP CONSTRAINT resources_pkey;
ALTER TABLE resources ADD PRIMARY KEY (environment_id, kind, worker, place);

-- Which version of a Worker a long-lived environment served when, as the provider calls it: what a rollback leads back to.
CREATE TABLE deployments (
    environment_id uuid NOT NULL REFERENCES environments (id),
    worker         text NOT NULL,
    place          text NOT NULL,
    version        text NOT NULL,
    sha            text NOT NULL,
    deployed_at    timestamptz NOT NULL DEFAULT now(), -- the last time
    PRIMARY KEY (environment_id, worker, place, version)
);
CREATE INDEX deployments_newest ON deployments (environment_id, deployed_at DESC);
