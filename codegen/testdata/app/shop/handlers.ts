// Written by hand, as people do: an API in memory.
import { problem } from "./http";
import type { Handlers } from "./routes";
import type { Product, Review } from "./schemas";

const products = new Map<string, Product>();
const reviews = new Map<number, Review>();

export const handlers = {
  health: (c) => c.text("fine", 200),
  featured: (c) => c.redirect("/products", 302) as never,
  listProducts: (c) => {
    const { limit, size, cheap } = c.req.valid("query");
    if (c.req.header("authorization") !== "Bearer secret" || c.req.valid("header")["X-Trace-Id"] === "") throw new Error("no token");
    const items = [...products.values()].filter((p) => (p.size == null || size.includes(p.size)) && (!cheap || (p.price ?? 0) < 10));
    return c.json({ items: items.slice(0, limit) }, 200);
  },
  createProduct: (c) => {
    const product: Product = { ...c.req.valid("json"), id: crypto.randomUUID(), made: new Date().toISOString() };
    products.set(product.id, product);
    return c.json(product, 201);
  },
  getProduct: (c) => {
    const product = products.get(c.req.valid("param").id);
    return product === undefined ? c.json({ title: "There is no such product", status: 404 }, 404) : c.json(product, 200);
  },
  updateProduct: (c) => {
    const product = products.get(c.req.valid("param").id);
    if (product === undefined) return c.json({ title: "There is no such product", status: 404 }, 404);
    Object.assign(product, c.req.valid("json"));
    return c.json(product, 200);
  },
  deleteProduct: (c) =>
    products.delete(c.req.valid("param").id) ? c.body(null, 204) : c.json({ title: "There is no such product", status: 404 }, 404),
  listReviews: (c) => {
    if (!products.has(c.req.valid("param").id)) throw new Error("the product is gone");
    return c.json([...reviews.values()], 200);
  },
  addReview: (c) => {
    const { product, stars } = c.req.valid("form");
    const review: Review = { id: reviews.size + 7, product, stars };
    reviews.set(review.id, review);
    return c.json(review, 201);
  },
  getReview: (c) => {
    const review = reviews.get(c.req.valid("param").reviewId);
    return review === undefined ? problem(c, 404, "There is no such review") as never : c.json(review, 200);
  },
  deleteReview: (c) => (reviews.delete(c.req.valid("param").reviewId) ? c.body(null, 204) : c.json({ title: "There is no such review", status: 404 }, 404)),
} satisfies Handlers;
