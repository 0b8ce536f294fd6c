-- +goose Up

-- Where each thing was made: this machine's Postgres, a project at Neon, … The operator may move a repository from one place to
-- another, and what is at the old one is deleted there. Until now all was made on this machine.
ALTER TABLE resources ADD COLUMN place text NOT NULL DEFAULT '';
UPDATE resources SET place = CASE kind WHEN 'worker' THEN 'workerd' WHEN 'collection' THEN 'collection' ELSE 'postgres' END;
