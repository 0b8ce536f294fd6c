-- +goose Up

-- The check "Flaresmith / Spec" of each pull request that has one, or is being looked at.
CREATE TABLE spec_checks (
    project_id  uuid NOT NULL REFERENCES projects (id),
    pr          int NOT NULL,
    published   jsonb NOT NULL DEFAULT '{}',   -- what GitHub shows; see report.Published
    lease_token uuid,                          -- one look at a time: two would make two check runs
    lease_until timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, pr)
);

-- Commits with what is made of the specs, written down before a branch is moved to them: where the answer to that
-- gets lost, the next attempt finds its own work.
CREATE TABLE spec_commits (
    project_id uuid NOT NULL REFERENCES projects (id),
    branch     text NOT NULL,
    base_sha   text NOT NULL,
    commit_sha text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (project_id, branch, base_sha)
);
