package cloudflare_test

import (
	"testing"

	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/provider/providertest"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	providertest.RetryAfter(t, func(address string) (providertest.Provider, error) {
		return cloudflare.New(cloudflare.Config{APIURL: address, Token: "t", AccountID: "a"})
	})
}

func TestNoRedirect(t *testing.T) {
	t.Parallel()
	providertest.NoRedirect(t, func(address string) (providertest.Provider, error) {
		return cloudflare.New(cloudflare.Config{APIURL: address, Token: "t", AccountID: "a"})
	})
}
