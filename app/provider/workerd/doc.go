// Package workerd runs the Workers of previews on this machine, in the open-source Workers
// runtime: the local provider of preview.KindWorker, and the gateway that leads a browser to them.
//
// It takes a compiled preview.Bundle and the connection string of the preview's database, and
// gives a URL under the configured domain. One supervised workerd process serves one Worker:
//
//	browser ── Gateway (ServeHTTP, by Host) ── Unix socket ── workerd ── Unix socket ── egress ── Postgres
//
// Static files (preview.Assets) are served by the Gateway itself, before the Worker or after it as
// the bundle says; the Worker's own binding leads to the same handler over a Unix socket. A binding to
// another Worker of the environment (preview.Bundle.Services) leads to a handler, on a socket of its own,
// that asks the Gateway for that one Worker, whatever host the request names.
//
// # What a Worker can reach
//
// workerd says of itself that it is no hardened sandbox, so every wall is outside it. Beside its
// own static files and the Workers that it is bound to, the only way out of the process is a Unix socket on which an HTTP proxy of
// ours listens. The proxy knows one destination, DatabaseAddress, behind which user and database
// are pinned in the startup packet; every other connection is refused and every fetch is dropped.
// workerd's own "network" service is never configured, not even with one loopback address in its
// allow list: such a list has no ports, and whatever listens on 0.0.0.0 answers on every loopback
// address.
// A server that is root gives each Worker its own user id and, where the kernel lets it, a
// network namespace without any interface.
//
// A new generation that is to prove who it is (preview.Inputs.Verify) does so before it serves anybody.
//
// # State folder
//
//	<Dir>/<name>/mark.json      owner mark, digest, current generation; the digest is written last
//	<Dir>/<name>/g-<random>/    config.capnp, the modules and the static files of one generation
//	<Dir>/.sockets.json         where the sockets of the running server are, under os.TempDir
//
// No secret is written there: the connection string is handed over in the process's environment.
// A new generation is started beside the old one, which serves until the new one is ready.
// After a restart of the server nothing runs, and Observe says so with an empty digest.
//
// The package must not know how a bundle is made, where a database comes from, or GitHub.
package workerd
