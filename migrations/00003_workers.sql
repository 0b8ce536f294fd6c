-- +goose Up

-- A repository may have several Workers: the ledger tells them apart by the name in preview.Key, which
-- the first of them, like everything else, leaves empty.
ALTER TABLE resources ADD COLUMN worker text NOT NULL DEFAULT '';
ALTER TABLE resources DROP CONSTRAINT resources_pkey;
ALTER TABLE resources ADD PRIMARY KEY (environment_id, kind, worker);
