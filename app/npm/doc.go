// Package npm is the one client of the npm registry: it takes a package's name, its exact version and
// the integrity that a lock file or a table of ours pins, and gives the path of the verified tarball
// in a cache that is addressed by content.
//
// Which registry is asked is the operator's choice alone (npm's default, .npmrc files, npm_config_*
// variables). What a pull request says about hosts is never read: the address is built from the
// registry, the name and the version. The package does not unpack and does not resolve ranges.
package npm
