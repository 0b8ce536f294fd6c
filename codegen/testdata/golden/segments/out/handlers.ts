// Yours: spec-apply wrote this file once and does not touch it again.
import type { Handlers } from "./routes";

/**
 * What answers the operations, by their names; one that is not here answers 501. With "satisfies Handlers" in
 * place of "satisfies Partial<Handlers>", the compiler asks for all of them.
 *
 *   listThings: async (c) => c.json(await things(c.req.valid("query").limit), 200),
 */
export const handlers = {} satisfies Partial<Handlers>;
