// Package cloudflare is a stand-in of Cloudflare's Workers for the demo and for tests: the part of its API v4 that
// deploys Workers, and behind it a real workerd process a script, so that what is deployed answers. It is
// stateful, keeps Cloudflare's limits, and can fail on demand.
//
// What it does as Cloudflare documents it: a script is uploaded as a multipart form with its metadata, which names
// bindings, compatibility date and tags; static files are uploaded before it in a session that ends with a token; a
// script answers at <name>.<subdomain>.workers.dev only once that is turned on, and a little later; every upload is
// a version and a deployment; a script that another one is bound to is deleted by force only; 1,200 requests in 5
// minutes and 200 a second are let through, after the former there is nothing but 429 for 5 minutes.
//
// A Worker has previews: deployments of their own at hosts of their own, which take over the Worker's base configuration unless
// they are told not to; beyond the limit the least recently deployed one is evicted.
//
// Things of the account that a script can be bound to are added by the scenario; KV namespaces keep values, of the others a
// script finds nothing under the binding's name.
//
// workers.dev is workers.localhost here, on the port of the API: a request is for a Worker if its Host says so.
// Cloudflare publishes no description of its API in the npm registry, so exchanges are not checked against one: that the
// real protocol is spoken is shown by Cloudflare's own clients, wrangler and cloudflare-go.
//
// Pages: projects with their configuration for previews and production, direct upload of files and of code, which runs with the
// configuration of the moment of its deployment, an alias a branch, deletion by force. pages.dev is pages.localhost. It knows no
// builds, _headers, _redirects and _routes.json, and refuses the latter three.
//
// It knows nothing of the rest of the program.
package cloudflare
