// Answers every operation with the example that its collection holds.
import type { Context } from "hono";
import answers from "ANSWERS";

const answer = (c: Context): Response => {
  const { status, type, body } = (answers as { [operation: string]: { status: number; type: string; body: string } })[`${c.req.method} ${c.req.routePath}`]!;
  return new Response(body === "" ? null : body, { status, headers: type === "" ? {} : { "Content-Type": type } });
};

export const handlers = new Proxy({} as { [operation: string]: never }, { get: () => answer });
