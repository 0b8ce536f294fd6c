package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

// TokenPerson is whose token of the App's user flow this is. preview.ErrNotFound: it is not valid, or one of another
// App, which must not be able to speak for its users here.
func (s *SignIn) TokenPerson(ctx context.Context, token string) (preview.Person, error) {
	const what = "token of a person"
	as := gh.BasicAuthTransport{Username: s.flow.ClientID, Password: s.flow.ClientSecret, Transport: s.client.Transport}
	client := gh.NewClient(&http.Client{Transport: &as, Timeout: callTimeout, CheckRedirect: s.client.CheckRedirect})
	client.BaseURL, client.UserAgent = s.api, s.agent
	found, response, err := client.Authorizations.Check(ctx, s.flow.ClientID, token)
	if err != nil {
		// The address has the client's id, and no error's text may have the token.
		if response != nil && response.StatusCode == http.StatusUnprocessableEntity {
			return preview.Person{}, fmt.Errorf("%s: %w", what, preview.ErrNotFound)
		}
		return preview.Person{}, classify(err, what)
	}
	user := found.GetUser()
	if user.GetID() == 0 || user.GetLogin() == "" || user.GetType() != "User" {
		return preview.Person{}, errors.New(what + ": GitHub answered with nobody")
	}
	return preview.Person{ID: user.GetID(), Login: user.GetLogin()}, nil
}
