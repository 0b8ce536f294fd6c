// Answers with what was read of the path.
import type { Handlers } from "./routes";

export const handlers = {
  getFile: (c) => c.json({ operation: "getFile", param: c.req.valid("param") }, 200),
  getFileAs: (c) => {
    const { name, ext } = c.req.valid("param");
    const known: "txt" | "json" = ext;
    return c.json({ operation: "getFileAs", param: { name, ext: known } }, 200);
  },
  getPosts: (c) => {
    const { id, from, to, tag } = c.req.valid("param");
    return c.json({ operation: "getPosts", param: { id, sum: from + to, tag } }, 200);
  },
  getUser: (c) => c.json({ operation: "getUser", param: c.req.valid("param") }, 200),
  activateUser: (c) => c.json({ operation: "activateUser", param: c.req.valid("param") }, 200),
  isActive: (c) => c.json({ operation: "isActive", param: c.req.valid("param") }, 200),
  batchGet: (c) => c.json({ operation: "batchGet", param: {} }, 200),
  allJobs: (c) => c.json({ operation: "allJobs", param: {} }, 200),
} satisfies Handlers;
