// Package github is a stateful stand-in for GitHub, for the demo and for tests.
//
// It keeps real bare git repositories, so `git push` to it works, serves the subset of the REST
// API that Flaresmith uses under /api/v3/ (as GitHub Enterprise does), sends signed webhooks for
// everything that happens to it, and shows pull requests as plain pages. Its Go methods play the
// people: they open pull requests, push commits, comment and press buttons. Its page of the web flow
// lets whoever looks at it sign in to the App as any of them. Faults can be injected
// and every request is recorded. With Config.Validate every request and answer is checked
// against a slice of GitHub's own OpenAPI description (see openapi/).
//
// It takes a directory and an App's identity; it gives a URL. It knows nothing of Flaresmith and
// must stay that way: it behaves as GitHub does, whatever the product would like. It is meant for
// loopback and has no protection fit for anything else.
//
// Where it differs from GitHub on purpose: a repository that is outside of an installation token's
// reach is 404 even if it is public; ids come from a counter; mergeability is computed at once.
package github

//go:generate go run ./openapi/slice -out openapi/slice.json.zst
