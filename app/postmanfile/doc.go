// Package postmanfile reads the Postman v2.1 files of a repository: its collections, and the environment that a
// preview gets. Both providers of preview.KindCollection build on it.
//
// It takes a folder of the repository and what the other resources of the environment offer, and gives checked
// collections, each as a file and as decoded JSON, and the environment's variables. The files are those of a pull request:
// sizes, numbers and depths are bounded, problems name the place to fix, and nothing in them is run.
//
// The environment's template is preview.postman_environment.json in the collections' folder, or else the only
// *.postman_environment.json there. Values that it calls secret are emptied: no secret is given on.
//
// It must not know where collections go to, nor where the Worker runs.
package postmanfile
