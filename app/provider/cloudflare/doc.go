// Package cloudflare is the provider of preview.KindWorker for Cloudflare. How previews are run is a Driver: by default one Worker
// script a preview, over the plain script API. It takes an API token and an account, and compiled bundles, and must not know the reconciler, the
// store, how a bundle is made or any other provider. Calls go through cloudflare-go, over the transport that it is
// given, which bounds, budgets and repeats them: the library's own retries and rate limit are off.
//
// Workers checks what it is asked for and classes errors, and leaves the rest to its driver. Of each driver D.go has the steps of a
// deployment, D_api.go the calls, and D_form.go what is uploaded where it differs from a script (upload.go, of a bundle.go that was checked).
// What they have in common is in driver.go, wait.go and mark.go.
//
// # What is made
//
// With DriverScripts a Worker named N is a script of that name that answers at N.<subdomain>.workers.dev, without routes, crons or
// version URLs. Every upload names all of its bindings, so that none is inherited: variables, the connection string as a
// secret, static files, and the Workers of the same environment that it is bound to, and what the default branch lets it be bound to
// in the account (preview.Layout.Bindings), which is checked here once more. A Worker that another one is bound to
// must exist before, so one that does not yet is begun with code that only says so.
//
// # Mark and digest
//
// Both are tags of the script, where its own code can't change them. The upload sets the mark and takes the digest
// away; then the host is turned on and answers, or is waited for no longer, and proves who it is where that is asked for
// (preview.Inputs.Verify); the digest comes last. So a script without
// a digest is an unfinished one, wherever a try before ended, and the next one begins anew. Beside the digest a tag tells
// what was uploaded, so that a Worker whose database has another password is deployed again.
//
// # Previews of one Worker
//
// With DriverPreviews a Worker named N is the preview N of a parent Worker, which is made without code if it is not there and
// is not written to otherwise. Mark and digest are the preview's tags. It is made with the mark; the digest is taken away before each deployment and
// comes back last. All of the environment is sent, nothing is inherited, and an answer that says otherwise ends the preview.
// A preview can't be bound to others of its environment, which is refused. What lasts should not be
// one: Cloudflare evicts those that are seldom deployed, and lets no earlier deployment serve again.
//
// # Long-lived environments
//
// A script that is no preview's is uploaded as a version and then deployed, so that the version before can serve again; its id
// is a tag, too, and in the outputs. Whoever has previews of one Worker runs long-lived environments by a provider of DriverScripts beside it.
//
// # Pages
//
// With DriverPages a Worker named N is the project N of Pages, made by us, with deployments of the branch "preview" alone: none is
// ever in production. Secrets are the project's, which is why each preview has one of its own. Mark and digest are variables of
// the production that is never deployed. Of earlier deployments nothing is kept: Pages rolls back production alone.
package cloudflare
