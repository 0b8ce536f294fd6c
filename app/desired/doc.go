// Package desired says what should exist: facts about a pull request or branch, and the
// repository's configuration, in; a verdict and an ordered list of resources out. It is pure and
// knows neither the store nor any provider.
package desired
