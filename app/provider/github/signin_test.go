package github_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/github"
)

func TestStanding(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ids := map[string]int64{"nobody-here": 0}
	for _, role := range []string{"admin", "write", "triage", "read", "none"} {
		ids["octo-"+role] = b.sim.AddUser("octo-" + role).ID
		b.check(b.sim.SetRole("acme/shop", "octo-"+role, role))
	}
	want := map[string]preview.Standing{}
	for login, role := range map[string]preview.Role{"octo-admin": preview.RoleOwner, "octo-write": preview.RoleContributor, "octo-triage": preview.RoleViewer,
		"octo-read": preview.RoleViewer, "octo-none": preview.RoleNone, "nobody-here": preview.RoleNone} {
		want[login] = preview.Standing{UserID: ids[login], Role: role}
	}
	all := func() map[string]preview.Standing {
		got := map[string]preview.Standing{}
		for login := range want {
			standing, err := b.app.Standing(t.Context(), b.project, login)
			b.check(err)
			got[login] = standing
		}
		return got
	}
	if diff := cmp.Diff(want, all()); diff != "" {
		t.Errorf("private: %s", diff)
	}
	b.check(b.sim.SetPrivate("acme/shop", false, "octo-admin"))
	for _, login := range []string{"octo-read", "octo-none"} {
		want[login] = preview.Standing{UserID: ids[login], Role: preview.RoleViewer, Everybody: true}
	}
	if diff := cmp.Diff(want, all()); diff != "" {
		t.Errorf("public: %s", diff)
	}
}

// Whatever the endpoints answer, no token, secret or code becomes part of an error's text.
func TestSignInErrors(t *testing.T) {
	t.Parallel()
	const token, secret, code = "ghu_hush-token", "hush-secret", "hush-code"
	form := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body)) // the caller may have gone
		}
	}
	good := form(http.StatusOK, "access_token="+token+"&token_type=bearer")
	asJSON := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body)) // the caller may have gone
		}
	}
	drop := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	elsewhere := func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}
	tests := []struct {
		name        string
		token, user http.HandlerFunc
		class       preview.Class
	}{
		{"used code", form(200, "error=bad_verification_code&error_description="+token), nil, preview.ClassNotFound},
		{"wrong secret", form(200, "error=incorrect_client_credentials"), nil, preview.ClassPermanent},
		{"wrong callback", form(200, "error=redirect_uri_mismatch"), nil, preview.ClassPermanent},
		{"no such App", form(404, token), nil, preview.ClassPermanent},
		{"limited", form(429, token), nil, preview.ClassTransient},
		{"down", form(502, token), nil, preview.ClassTransient},
		{"dropped", drop, nil, preview.ClassTransient},
		{"not understood", asJSON(`{"access_token": "` + token), nil, preview.ClassPermanent},
		{"nothing", form(200, "x="+token), nil, preview.ClassPermanent},
		{"led elsewhere", elsewhere, nil, preview.ClassPermanent},
		{"user: refused", good, form(401, token), preview.ClassPermanent},
		{"user: down", good, form(503, token), preview.ClassTransient},
		{"user: dropped", good, drop, preview.ClassTransient},
		{"user: nobody", good, asJSON(`{}`), preview.ClassPermanent},
		{"user: a bot", good, asJSON(`{"id": 1, "login": "x[bot]", "type": "Bot"}`), preview.ClassPermanent},
		{"user: led elsewhere", good, elsewhere, preview.ClassPermanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mux := http.NewServeMux()
			mux.HandleFunc("POST /login/oauth/access_token", tt.token)
			if tt.user != nil {
				mux.HandleFunc("GET /api/v3/user", tt.user)
			}
			mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("what is secret was sent elsewhere") })
			server := httptest.NewServer(mux)
			defer server.Close()
			signIn, err := github.NewSignIn(github.SignInConfig{ClientID: "Iv1", ClientSecret: secret, WebURL: server.URL, APIURL: server.URL + "/api/v3/",
				CallbackURL: "http://127.0.0.1:1/callback"})
			if err != nil {
				t.Fatal(err)
			}
			person, err := signIn.Person(t.Context(), code, "verifier")
			if err == nil || person != (preview.Person{}) || preview.Classify(err) != tt.class {
				t.Errorf("%+v, %v, class %s, want %s", person, err, preview.Classify(err), tt.class)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), "hush") {
					t.Errorf("the error tells: %v", e)
				}
			}
		})
	}
}
