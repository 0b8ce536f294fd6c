-- The parent database of the demo: what "drizzle-kit migrate" leaves behind after the sample's
-- first migration, and some rows.
CREATE TABLE "products" (
	"id" serial PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"price_cents" integer NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "products_name_unique" UNIQUE("name")
);

CREATE SCHEMA drizzle;
CREATE TABLE drizzle.__drizzle_migrations (
	id SERIAL PRIMARY KEY,
	hash text NOT NULL,
	created_at bigint
);
INSERT INTO drizzle.__drizzle_migrations (hash, created_at)
VALUES ('0831a13abbf1311ffc49390a2d92dda207c5733f965e5e88de7ea800f03a19bb', 1795413298477);

INSERT INTO "products" ("name", "price_cents", "created_at") VALUES
	('Teapot', 2900, '2026-09-01 09:00:00+00'),
	('Cup', 700, '2026-09-01 09:05:00+00'),
	('Tea strainer', 450, '2026-09-02 14:30:00+00');
