package postman_test

import (
	"testing"

	"github.com/flaresmith/flaresmith/app/provider/postman"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	providertest.RetryAfter(t, func(address string) (providertest.Provider, error) {
		return postman.New(postman.Config{APIURL: address, APIKey: "k", WorkspaceID: "w"})
	})
}

func TestNoRedirect(t *testing.T) {
	t.Parallel()
	providertest.NoRedirect(t, func(address string) (providertest.Provider, error) {
		return postman.New(postman.Config{APIURL: address, APIKey: "k", WorkspaceID: "w"})
	})
}
