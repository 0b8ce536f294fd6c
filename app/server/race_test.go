package server

import "testing"

// someOf is a table whose rows take the same way through the code: with -short each third.
func someOf[T any](rows []T) []T {
	if !testing.Short() {
		return rows
	}
	var some []T
	for i := 0; i < len(rows); i += 3 {
		some = append(some, rows[i])
	}
	return some
}
