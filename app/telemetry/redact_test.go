package telemetry

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----"

func TestRedact(t *testing.T) {
	t.Parallel()
	r := NewRedactor("webhook-secret", "postgres://flare:p%40ss-word@db.example/flare", "postgres://postgres:postgres@localhost/postgres", "line one\nline two", "short", "key=a b/c+d")
	tests := []struct {
		name, text, want string
	}{
		{"nothing", "pull request acme/shop#7 at 0af7651", "pull request acme/shop#7 at 0af7651"},
		{"a known value", "the secret is webhook-secret.", "the secret is ***."},
		{"a known value with a line break", "line one\nline two", "***"},
		{"a known value in JSON", `{"key":"line one\nline two"}`, `{"key":"***"}`},
		{"a known value in a URL", "/x?k=key%3Da+b%2Fc%2Bd", "/x?k=***"},
		{"the password of a known URL", "password authentication failed: p@ss-word", "password authentication failed: ***"},
		{"a password that is a word", "cannot reach postgres on port 5432", "cannot reach postgres on port 5432"},
		{"too short to be told from a word", "a short text", "a short text"},
		{"installation token", "token ghs_16C7e42F292c6912E7710c838347Ae178B4a, gone", "token ghs_***, gone"},
		{"installation token of a newer form", "ghs_eyJhbGciOi.eyJpc3MiOjEy.c2lnbmF0dXJl", "ghs_***"},
		{"personal token", "x github_pat_11ABCDEFG0abcdefghijkl_mnop y", "x github_pat_*** y"},
		{"URL", "dial postgres://preview_7:hunter2@127.0.0.1:5432/shop?x=1: refused", "dial postgres://preview_7:***@127.0.0.1:5432/shop?x=1: refused"},
		{"URL with an @ in the password", "https://me:p@ss@host/", "https://me:***@host/"},
		{"URL without a user", "https://host:8080/a@b", "https://host:8080/a@b"},
		{"connection string", "host=db user=x password=hunter2 dbname=y", "host=db user=x password=*** dbname=y"},
		{"connection string with quotes", "password='hunter 2' dbname=y", "password=*** dbname=y"},
		{"password in JSON", `{"password": "hunter 2", "x": "y"}`, `{"password": "***", "x": "y"}`},
		{"password in JSON in JSON", `"{\"password\":\"hunter2\"}"`, `"{\"password\":\"***\"}"`},
		{"Cloudflare's token", "cfut_0123456789abcdefghij", "cfut_***"},
		{"OpenAI's key", "key sk-proj-0123456789abcdef_x", "key sk-***"},
		{"AWS key", "AKIA0123456789ABCDEF", "AKIA***"},
		{"header", "Authorization: Bearer abcdefghijklmnop0123456789==", "Authorization: Bearer ***"},
		{"header in lower case", "authorization: bearer abcdefghijklmnop0123456789", "authorization: bearer ***"},
		{"basic", "Basic dXNlcjpwYXNzd29yZDEyMw==", "Basic ***"},
		{"JWT", "jwt eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiI3In0.c2ln end", "jwt *** end"},
		{"private key", "key " + pem + " end", "key *** end"},
		{"private key in JSON", `{"key":"` + strings.ReplaceAll(pem, "\n", `\n`) + `"}`, `{"key":"***"}`},
		{"private key that is cut off", pem[:50], "***"},
		{"link to a status page", "GET /projects/1/environments?t=1790000000.c2lnbmF0dXJl HTTP/1.1", "GET /projects/1/environments?t=*** HTTP/1.1"},
		{"code of a sign-in", "GET /auth/github/callback?code=0123456789abcdef0123&state=x HTTP/1.1", "GET /auth/github/callback?code=***&state=x HTTP/1.1"},
		{"keys of other services", "napi_abcdefghijklmnopqrstuvwxyz PMAK-0123456789abcdef01234567-x npm_abcdefghijklmnopqrstuvwxyz0123456789", "napi_*** PMAK-*** npm_***"},
		{"two in one text", "ghs_16C7e42F292c6912E7710c838347Ae178B4a ghs_26C7e42F292c6912E7710c838347Ae178B4a", "ghs_*** ghs_***"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, r.Text(tt.text)); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// BenchmarkRedact is what a line costs that holds nothing.
func BenchmarkRedact(b *testing.B) {
	r := NewRedactor("webhook-secret", "postgres://flare:p%40ss-word@db.example/flare", pem, "another-secret")
	text := "publish report of preview-k7xq2mab-pr-7: https://api.github.com/repos/acme/shop/check-runs/7: 502"
	for b.Loop() {
		if r.Text(text) != text {
			b.Fatal("changed")
		}
	}
}
