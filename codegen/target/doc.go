// Package target is the third step of spec apply: it writes a model as files of one kind, a Go file
// a kind. It decides layout only; names, types and cycles are the model's. Output depends on the
// model alone, byte by byte.
package target
