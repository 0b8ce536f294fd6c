package main

import (
	"os"
	"testing"
)

// asProgram makes the tests' binary act as the program: for what Git starts.
const asProgram = "FLARESMITH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}
