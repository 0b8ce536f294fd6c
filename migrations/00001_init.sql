-- +goose Up

-- Who installed the App, and where.
CREATE TABLE installations (
    id           bigint PRIMARY KEY,           -- GitHub's
    account      text NOT NULL,                -- login of the organisation or user
    account_id   bigint NOT NULL DEFAULT 0,
    suspended_at timestamptz,
    deleted_at   timestamptz,
    facts_at     timestamptz NOT NULL DEFAULT 'epoch', -- as in projects
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- A project is one repository in one installation.
CREATE TABLE projects (
    id              uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    installation_id bigint NOT NULL,
    repo_id         bigint NOT NULL,
    owner           text NOT NULL,
    name            text NOT NULL,
    default_branch  text NOT NULL DEFAULT '',
    hash            text NOT NULL UNIQUE,      -- preview.ProjectHash
    archived_at     timestamptz,               -- repository archived, deleted, or taken from the installation
    config          bytea,                     -- the last valid .github/flaresmith.yml of the default branch
    config_sha      text NOT NULL DEFAULT '',  -- digest of that file
    facts_at        timestamptz NOT NULL DEFAULT 'epoch', -- when GitHub last changed what owner, name, branch and archived_at say
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (installation_id, repo_id)
);

-- The newest push to each branch, by GitHub's own time: core environments are chosen from these.
CREATE TABLE branches (
    project_id uuid NOT NULL REFERENCES projects (id),
    branch     text NOT NULL,
    sha        text NOT NULL,
    pushed_at  timestamptz NOT NULL,
    deleted    boolean NOT NULL DEFAULT false,
    seq        bigint NOT NULL GENERATED ALWAYS AS IDENTITY, -- GitHub's times are whole seconds: the later arrival wins
    PRIMARY KEY (project_id, branch)
);

-- What an installation, or one repository of it, may use. Written by the operator only; for one
-- organisation the configuration's variables are written here at start.
CREATE TABLE entitlements (
    installation_id  bigint NOT NULL,
    repo_id          bigint NOT NULL DEFAULT 0,     -- 0: every repository of the installation
    database_parents jsonb NOT NULL DEFAULT '{}',   -- {"main": "<database name>", ...}: names that a repository may pick
    default_parent   text NOT NULL DEFAULT '',
    max_previews     int NOT NULL DEFAULT 15,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (installation_id, repo_id)
);

-- Every delivery, stored before it is answered. The delivery id is a header outside the
-- signature: any non-empty text of at most 128 characters.
CREATE TABLE deliveries (
    guid            text PRIMARY KEY CHECK (length(guid) BETWEEN 1 AND 128),
    seq             bigint GENERATED ALWAYS AS IDENTITY,
    event           text NOT NULL,
    installation_id bigint NOT NULL DEFAULT 0,
    repo_id         bigint NOT NULL DEFAULT 0,
    pr              int NOT NULL DEFAULT 0,
    received_at     timestamptz NOT NULL DEFAULT now(),
    handled_at      timestamptz,
    error           text NOT NULL DEFAULT '',       -- why the handler gave up; no payload text
    payload         bytea NOT NULL -- zstd of the JSON
);
ALTER TABLE deliveries ALTER COLUMN payload SET STORAGE EXTERNAL; -- compressed already; Postgres 15 knows no shorter way
CREATE INDEX deliveries_by_pr ON deliveries (repo_id, pr, seq) WHERE pr <> 0;
CREATE INDEX deliveries_unhandled ON deliveries (repo_id, pr, seq) WHERE handled_at IS NULL;

-- One row a pull request (pr 0: the repository itself; repo 0: installation events) that counts
-- deliveries wanted and done. armed_by is the River job that will hand them over.
CREATE TABLE pr_work (
    repo_id  bigint NOT NULL,
    pr       int NOT NULL,
    wanted   bigint NOT NULL DEFAULT 0,
    done     bigint NOT NULL DEFAULT 0,
    armed_by bigint,
    PRIMARY KEY (repo_id, pr)
) WITH (fillfactor = 70);

-- One row an environment: the wish (wanted generation) and what the last pass left (observed).
CREATE TABLE environments (
    id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id     uuid NOT NULL REFERENCES projects (id),
    kind           text NOT NULL CHECK (kind IN ('preview', 'dev', 'staging', 'prod')),
    name           text NOT NULL UNIQUE,          -- preview.PreviewName, preview.CoreName
    pr             int NOT NULL DEFAULT 0,
    branch         text NOT NULL DEFAULT '',
    sha            text NOT NULL DEFAULT '',
    pushed_at      timestamptz,                   -- core: when the push that set sha was received by GitHub
    state          text NOT NULL DEFAULT 'queued',
    wanted         bigint NOT NULL DEFAULT 0,
    observed       bigint NOT NULL DEFAULT 0,
    armed_by       bigint,                        -- the River job that will run the next pass
    lease_token    uuid,
    lease_until    timestamptz,
    held           boolean NOT NULL DEFAULT false,
    rebuild        boolean NOT NULL DEFAULT false,
    reset_database boolean NOT NULL DEFAULT false,
    expires_at     timestamptz,
    expired_sha    text NOT NULL DEFAULT '',
    good_sha       text NOT NULL DEFAULT '',
    head_sha       text NOT NULL DEFAULT '',
    lifecycle_at   timestamptz,                   -- the pull request's last close or reopen
    message        text NOT NULL DEFAULT '',
    problems       jsonb NOT NULL DEFAULT '[]',
    failing_since  timestamptz,
    attempts       int NOT NULL DEFAULT 0,        -- passes in a row that ended in a transient error
    next_pass_at   timestamptz,                   -- the sweep wants a pass then: retry, expiry
    admitted_at    timestamptz,                   -- previews: holds one of the project's places
    queued_at      timestamptz,                   -- previews: waits for a place since
    report         jsonb NOT NULL DEFAULT '{}',   -- ids and digests of what GitHub was told
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (project_id, kind, pr)
) WITH (fillfactor = 70);
CREATE INDEX environments_due ON environments (next_pass_at) WHERE next_pass_at IS NOT NULL;

-- The ledger: what was created for an environment. A row is written before the provider is
-- called, so that nothing exists that the ledger does not know.
CREATE TABLE resources (
    environment_id uuid NOT NULL REFERENCES environments (id),
    kind           text NOT NULL,
    name           text NOT NULL,
    digest         text NOT NULL DEFAULT '',
    outputs        jsonb NOT NULL DEFAULT '{}',   -- never a secret
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (environment_id, kind)
);

-- What each pass did, step by step.
CREATE TABLE passes (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    environment_id uuid NOT NULL REFERENCES environments (id),
    generation     bigint NOT NULL,
    sha            text NOT NULL DEFAULT '',
    outcome        text NOT NULL,
    steps          jsonb NOT NULL DEFAULT '[]',   -- [{name, op, ok, startMs, durationMs, error}]
    started_at     timestamptz NOT NULL,
    duration_ms    bigint NOT NULL
);
CREATE INDEX passes_by_environment ON passes (environment_id, id DESC);

-- A person's commands, each once, keyed by the comment or the button's press.
CREATE TABLE commands (
    key        text PRIMARY KEY,
    project_id uuid NOT NULL REFERENCES projects (id),
    pr         int NOT NULL,
    comment_id bigint NOT NULL DEFAULT 0,
    verb       text NOT NULL,
    argument   text NOT NULL DEFAULT '',
    actor      text NOT NULL,
    actor_id   bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,              -- as GitHub says
    stored_at  timestamptz NOT NULL DEFAULT now(),
    done_at    timestamptz,
    outcome    text NOT NULL DEFAULT '',          -- done, refused, dropped, or invalid
    reply_id   bigint NOT NULL DEFAULT 0
);
CREATE INDEX commands_pending ON commands (project_id, pr, created_at) WHERE done_at IS NULL;

-- Who did what. Append only.
CREATE TABLE audit (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    project_id uuid,
    actor      text NOT NULL DEFAULT '',          -- login; empty: the system
    actor_id   bigint NOT NULL DEFAULT 0,
    origin     text NOT NULL CHECK (origin IN ('user', 'system')),
    operation  text NOT NULL,                     -- e.g. environment.destroy
    subject    text NOT NULL,                     -- e.g. the environment's name
    detail     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_project ON audit (project_id, id DESC);
