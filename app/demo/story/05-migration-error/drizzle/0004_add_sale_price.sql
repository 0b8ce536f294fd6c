ALTER TABLE "products" ADD COLUMN "sale_cents" integer;--> statement-breakpoint
UPDATE "products" SET "sale_cents" = "price" / 2;
