// Package codegen is the façade of spec apply: data models, OpenAPI documents and JSON Schemas in, Drizzle
// tables, Zod schemas, Hono routes, Postman collections and MCP tool descriptors out.
//
//	spec → ir → target → drift
//
// Load looks at the inputs through an fs.FS, Generate reads them and turns them into files without clock, environment
// or disk, Plan compares these with what is there, and Write is the one place that writes. The
// package knows nothing of the server.
package codegen
