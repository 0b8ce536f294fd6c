-- +goose Up

-- What all replicas know of the accounts at outside systems that they call. It is written at every call and worth a minute: after a
-- crash of the database it is empty, and each replica has its own count until then. An account is a provider, its API's address and
-- a name that is shown: no key.
CREATE UNLOGGED TABLE outside_budgets (
    account    text             NOT NULL,
    budget     text             NOT NULL,
    burst      double precision NOT NULL, -- units at most
    per_second double precision NOT NULL, -- units that come back
    left_over  double precision NOT NULL, -- units at counted_at; negative: calls wait for them
    counted_at timestamptz      NOT NULL,
    PRIMARY KEY (account, budget)
) WITH (fillfactor = 50);

-- Rows are of accounts with calls that failed.
CREATE UNLOGGED TABLE outside_breakers (
    account    text          PRIMARY KEY,
    failed_at  timestamptz[] NOT NULL, -- the last failures, as many as open the breaker
    open_until timestamptz,            -- passed: one call has to try the account
    tried_till timestamptz             -- until when one call does
);

-- +goose Down

DROP TABLE outside_breakers;
DROP TABLE outside_budgets;
