// Package ir is the second step of spec apply: it turns checked trees into the model that every
// target is written from.
//
// The model holds decisions, so that targets hold layout only: every name that generated code
// uses, which schemas are recursive, what a keyword means in the document's version, and what was
// inferred because the document does not say it. Two runs over the same input give the same model
// in the same order. The package knows nothing of the targets' languages but for the words that
// they reserve.
package ir
