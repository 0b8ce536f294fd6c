// Package setup creates the GitHub App that the server is, before the server knows one: it takes a person
// through GitHub's manifest flow in the browser and gives the App's credentials, which it keeps sealed in the
// database. It must not know what the server does with them.
//
//	link with a one-time token, printed at start
//	  → form: whose App            POST /setup, spends the token for a session of this browser
//	  → manifest                   POST to GitHub, with a state of that session
//	  → code                       GET /setup/callback, once for each state
//	  → credentials                POST /app-manifests/{code}/conversions
//	  → sealed and stored          from then on the pages are gone
//
// The manifest asks for exactly the permissions and events that are used. Its facts are those of
// https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest.
package setup
