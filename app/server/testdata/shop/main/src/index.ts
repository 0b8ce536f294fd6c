import { asc, sql } from "drizzle-orm";
import { Hono } from "hono";

import { database, type Env } from "./database";
import { products } from "./schema";

const app = new Hono<Env>();

app.use(database);

app.get("/", async (c) => {
  const [row] = await c.var.db.execute<{ database: string }>(sql`select current_database() as database`);
  return c.json({
    service: "shop",
    currency: c.env.SHOP_CURRENCY,
    database: row?.database,
    products: await c.var.db.$count(products),
  });
});

app.get("/products", async (c) => {
  return c.json(await c.var.db.select().from(products).orderBy(asc(products.id)));
});

app.post("/products", async (c) => {
  const body = await c.req.json<{ name?: unknown; priceCents?: unknown }>().catch(() => null);
  if (typeof body?.name !== "string" || !body.name || !Number.isInteger(body.priceCents)) {
    return c.json({ error: "name (text) and priceCents (whole number) are needed" }, 400);
  }
  const [product] = await c.var.db
    .insert(products)
    .values({ name: body.name, priceCents: body.priceCents as number })
    .onConflictDoNothing()
    .returning();
  return product ? c.json(product, 201) : c.json({ error: "a product of that name exists" }, 409);
});

app.onError((err, c) => {
  console.error(err);
  return c.json({ error: "internal error" }, 500);
});

export default app;
