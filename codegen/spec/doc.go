// Package spec is the first step of spec apply: bytes in, a checked tree with positions out.
//
// A data-model.md becomes facts, each with its place and the notation that says it; merging them is the
// next step's. JSON and YAML it reads into one ordered tree in which every value knows its line and column, so
// that later steps can point at the line to fix. Problems are collected and reported together.
// What it reads was written by anybody: sizes, depths, and the growth by YAML aliases are bounded,
// and a reference never leaves its document.
//
// The package performs no input or output, and knows nothing of what the tree is turned into.
package spec
