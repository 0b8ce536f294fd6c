package server

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// TestMain is also the program that the server under test calls for each build.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == BundleCommand {
		if err := Bundle(context.Background(), os.Args[2], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}
