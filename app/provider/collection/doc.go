// Package collection writes the API collection and environment of a preview as Postman files: the
// local provider of preview.KindCollection.
//
// It takes the Postman v2.1 collections of the repository and the URL of the preview's Worker, and
// gives files that Postman, newman and the like read:
//
//	<Dir>/<name>/<file>.postman_collection.json    as in the repository; missing ids are filled in, always alike
//	<Dir>/<name>/<name>.postman_environment.json   baseUrl, an address for each further Worker, and what a template in the repository adds
//	<Dir>/<name>/mark.json                         owner mark, digest, file names; the digest is written last
//
// What they hold is the matter of app/postmanfile. No secret is written.
//
// The package must not know where the Worker runs, Postman's API, or GitHub.
package collection
