// Yours: spec-apply wrote this file once and does not touch it again.
import { sql } from "drizzle-orm";
import { withDatabase } from "../db/client";
import { products } from "../db/schema";
import type { Handlers } from "../routes/001-shop";

/** What answers the operations that are no plain CRUD, by their names. */
export const handlers = {
  getService: (c) =>
    withDatabase(c, async (db) => {
      const [row] = await db.execute<{ database: string }>(sql`select current_database() as database`);
      return c.json(
        {
          service: "shop",
          currency: c.env.SHOP_CURRENCY,
          database: row?.database ?? "",
          products: await db.$count(products),
        },
        200,
      );
    }),
} satisfies Partial<Handlers>;
