// Package build makes a deployable Worker out of a repository: archive at a commit → safe source
// tree → one ES module, with esbuild's Go API and the packages that package-lock.json or
// pnpm-lock.yaml pins, and the list of the static files that are served with it.
//
// It takes the bytes of GitHub's tarball and a preview.Layout, and gives a preview.Bundle, or a
// *preview.InvalidError that lists every line to fix. It parses what it is given and never runs
// it: no npm script, no build command, no configuration file that is code.
//
// In front of each Worker's main module stands identity.js, which answers the server's signed question who the Worker is and
// passes everything else on.
//
// Everything in the archive is hostile. Files are written and read through an os.Root; esbuild
// is given every file by a plugin and is never left to look at the disk itself; a server runs it
// in a process of its own (Isolated), because code that is nested deeply enough kills it; packages come
// from the registry that the operator chose and are verified before they are read. The package
// knows nothing of GitHub, of databases or of where the bundle will run.
package build
