-- +goose Up

-- The GitHub App that was created on the setup page: none or one.
CREATE TABLE github_app (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    app_id     bigint NOT NULL,
    slug       text NOT NULL,
    client_id  text NOT NULL,
    sealed     bytea NOT NULL, -- its secrets, see packages setup and secretbox
    created_at timestamptz NOT NULL DEFAULT now()
);
