// Package preview is the vocabulary of Flaresmith: what a project, an environment and a resource
// are, what a provider is given and gives back, and how an error is classed.
//
// Every step of the flow speaks in these values and none of them does anything: the package
// imports the standard library only and performs no input or output.
package preview
