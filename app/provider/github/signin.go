package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	gh "github.com/google/go-github/v62/github"
	"golang.org/x/oauth2"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
)

// SignInConfig is how people let the App know who they are.
type SignInConfig struct {
	ClientID     string
	ClientSecret preview.Secret
	WebURL       string // where people see GitHub: https://github.com
	APIURL       string // as in Config
	CallbackURL  string // as on the App's page
	Transport    http.RoundTripper
	UserAgent    string // default "flaresmith"
}

// SignIn is GitHub's web flow with PKCE: a code for a person's token, the token for their id and
// login. The token is used for that one question and forgotten. It is safe for concurrent use.
type SignIn struct {
	flow   oauth2.Config
	client *http.Client
	api    *url.URL
	agent  string
}

// NewSignIn checks the configuration and calls nobody.
func NewSignIn(c SignInConfig) (*SignIn, error) {
	api, err := url.Parse(strings.TrimRight(c.APIURL, "/") + "/")
	if err != nil || c.ClientID == "" || c.ClientSecret == "" || c.WebURL == "" || c.CallbackURL == "" || api.Host == "" {
		return nil, errors.New("github sign-in: an address or a credential is missing")
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.UserAgent == "" {
		c.UserAgent = "flaresmith"
	}
	web := strings.TrimRight(c.WebURL, "/")
	return &SignIn{
		flow: oauth2.Config{ClientID: c.ClientID, ClientSecret: c.ClientSecret.Reveal(), RedirectURL: c.CallbackURL, Endpoint: oauth2.Endpoint{
			AuthURL: web + "/login/oauth/authorize", TokenURL: web + "/login/oauth/access_token", AuthStyle: oauth2.AuthStyleInParams}},
		client: &http.Client{Transport: bounded{c.Transport}, Timeout: callTimeout, CheckRedirect: outbound.Stay},
		api:    api, agent: c.UserAgent,
	}, nil
}

// Address is where a person tells GitHub that they are who they are. It leads them back to the
// callback with the state, and with a code that only the holder of the verifier can use.
func (s *SignIn) Address(state, verifier string) string {
	return s.flow.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
}

// Person is who a code was given to. preview.ErrNotFound: the code is wrong, used, too old, or was
// asked for with another verifier.
func (s *SignIn) Person(ctx context.Context, code, verifier string) (preview.Person, error) {
	token, err := s.flow.Exchange(context.WithValue(ctx, oauth2.HTTPClient, s.client), code, oauth2.VerifierOption(verifier))
	if err != nil {
		return preview.Person{}, classifyExchange(err)
	}
	client := gh.NewClient(s.client).WithAuthToken(token.AccessToken)
	client.BaseURL, client.UserAgent = s.api, s.agent
	user, _, err := client.Users.Get(ctx, "")
	if err != nil {
		return preview.Person{}, classify(err, "person who signs in")
	}
	if user.GetID() == 0 || user.GetLogin() == "" || user.GetType() != "User" {
		return preview.Person{}, errors.New("person who signs in: GitHub answered with nobody")
	}
	return preview.Person{ID: user.GetID(), Login: user.GetLogin()}, nil
}

// classifyExchange classes a failed exchange of a code. An answer's body may hold a token and never
// becomes part of the text.
func classifyExchange(err error) error {
	const what = "sign-in at GitHub"
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		var address *url.Error
		if errors.As(err, &address) {
			return classify(err, what)
		}
		return errors.New(what + ": the answer can't be read")
	}
	switch code := refused.Response.StatusCode; {
	case refused.ErrorCode == "bad_verification_code":
		return fmt.Errorf("%s: the code is not valid: %w", what, preview.ErrNotFound)
	case refused.ErrorCode == "incorrect_client_credentials", code == http.StatusNotFound:
		return errors.New(what + ": GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET are not those of the App")
	case refused.ErrorCode == "redirect_uri_mismatch":
		return errors.New(what + ": the callback URL is not on the App's page")
	case code == http.StatusTooManyRequests, code >= http.StatusInternalServerError:
		return preview.Transient(fmt.Errorf("%s: GitHub answered %d", what, code))
	default:
		return fmt.Errorf("%s: GitHub answered %d", what, code)
	}
}
