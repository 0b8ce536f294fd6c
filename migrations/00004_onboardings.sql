-- +goose Up

-- The pull request "Configure Flaresmith" of each repository in which one is due, or was.
CREATE TABLE onboardings (
    project_id  uuid PRIMARY KEY REFERENCES projects (id),
    slot_at     timestamptz,                   -- when it may be opened; see store.OnboardingSlot
    commit_sha  text NOT NULL DEFAULT '',      -- known before the branch is made: a branch at another commit is not ours
    pr          int NOT NULL DEFAULT 0,
    declined_at timestamptz,                   -- closed unmerged: never again
    done_at     timestamptz,                   -- merged
    note        text NOT NULL DEFAULT '',      -- what kept it from being opened the last time, for the operator
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX onboardings_by_slot ON onboardings (slot_at DESC) WHERE slot_at IS NOT NULL;
