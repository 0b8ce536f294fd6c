package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/racetest"
)

// TestHostileDeliveries posts to a whole server what nobody of GitHub would: each is refused with a code
// and a sentence, or does nothing; nothing of it is stored, nothing changes, and no secret is told.
func TestHostileDeliveries(t *testing.T) {
	t.Parallel()
	racetest.OneAfterTheOther(t)
	w := newWorld(t, sampleFiles(), nil)
	pr, sha := w.open("feature/one")
	w.wantCheck(sha, "success")
	w.settle()
	before, writes := w.state(), len(w.github.Writes())
	genuine := lastPayload(t, w, "pull_request")
	signed := func(body []byte) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("X-Hub-Signature-256", signature(body)) }
	}
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	const canary = "canary-5e1c"
	tests := []struct {
		name   string
		body   io.Reader
		change func(*http.Request)
		status int
	}{
		{"unsigned", bytes.NewReader(genuine), nil, http.StatusUnauthorized},
		{"signed by another", bytes.NewReader(genuine), set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64)), http.StatusForbidden},
		{"signed, then changed", strings.NewReader(string(genuine) + " "), signed(genuine), http.StatusForbidden},
		{"signed with SHA-1", bytes.NewReader(genuine), set("X-Hub-Signature", "sha1="+strings.Repeat("0", 40)), http.StatusUnauthorized},
		// Who does not wait for the answer to what is announced may be hung up on before it is read.
		{"announced too large", bytes.NewReader(make([]byte, inbox.MaxBody+1)), set("Expect", "100-continue"), http.StatusRequestEntityTooLarge},
		{"too large without a length", io.LimitReader(spaces{}, inbox.MaxBody+1), signed(nil), http.StatusRequestEntityTooLarge},
		{"signed and not JSON", strings.NewReader(canary), signed([]byte(canary)), http.StatusBadRequest},
		{"signed and cut off", bytes.NewReader(genuine[:len(genuine)/2]), signed(genuine[:len(genuine)/2]), http.StatusBadRequest},
		{"signed and a list", strings.NewReader(`["` + canary + `"]`), signed([]byte(`["` + canary + `"]`)), http.StatusBadRequest},
		{"no event", bytes.NewReader(genuine), func(r *http.Request) { signed(genuine)(r); r.Header.Del("X-GitHub-Event") }, http.StatusBadRequest},
		{"no delivery id", bytes.NewReader(genuine), func(r *http.Request) { signed(genuine)(r); r.Header.Del("X-GitHub-Delivery") }, http.StatusBadRequest},
		{"another content type", bytes.NewReader(genuine), func(r *http.Request) { signed(genuine)(r); r.Header.Set("Content-Type", "text/html") }, http.StatusUnsupportedMediaType},
		{"another method", nil, func(r *http.Request) { r.Method = http.MethodPut }, http.StatusMethodNotAllowed},
	}
	patient := http.DefaultTransport.(*http.Transport).Clone()
	patient.ExpectContinueTimeout = patience
	t.Cleanup(patient.CloseIdleConnections)
	client := &http.Client{Transport: patient}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guid := uuid.NewString()
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL()+"/api/github/hook", tt.body)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = http.Header{"X-Github-Event": {"pull_request"}, "X-Github-Delivery": {guid}, "Content-Type": {"application/json"}}
			if tt.change != nil {
				tt.change(request)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			text, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != tt.status {
				t.Errorf("answered %d, %v, want %d: %s", response.StatusCode, err, tt.status, text)
			}
			var answer struct {
				Error struct{ Code, Message string }
			}
			if tt.status != http.StatusMethodNotAllowed && (json.Unmarshal(text, &answer) != nil || answer.Error.Code == "" || answer.Error.Message == "") {
				t.Errorf("no code and no message: %s", text)
			}
			if strings.Contains(string(text), canary) {
				t.Errorf("the answer repeats the body: %s", text)
			}
			if stored := query(t, w.config["DATABASE_URL"], `SELECT guid FROM deliveries WHERE guid = '`+guid+`'`); len(stored) > 0 {
				t.Error("it is stored")
			}
		})
	}

	// What is signed and means nothing is taken, and changes nothing.
	strange := []string{`{"pull_request":` + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + `}`}
	for _, value := range []string{`null`, `"x"`, `-1`, `1e99`, `99999999999999999999`, `[]`, `{}`, `true`, `"\u0000"`} {
		for _, body := range []string{
			`{"action":%s}`, `{"action":"closed","number":%s}`, `{"action":"closed","pull_request":%s,"repository":%[1]s,"installation":%[1]s}`,
			`{"action":"closed","number":1,"pull_request":{"number":%s,"closed_at":%[1]s},"repository":{"id":%[1]s,"owner":%[1]s},"installation":{"id":%[1]s},"sender":%[1]s}`,
			`{"action":"created","comment":{"id":%s,"body":"/flaresmith destroy","user":%[1]s},"issue":{"number":%[1]s,"pull_request":%[1]s},"repository":{"id":%[1]s},"installation":{"id":%[1]s}}`,
			`{"ref":%s,"before":%[1]s,"after":%[1]s,"repository":{"id":%[1]s},"installation":{"id":%[1]s}}`,
		} {
			strange = append(strange, fmt.Sprintf(body, value))
		}
	}
	events := []string{"pull_request", "pull_request_review", "pull_request_review_comment", "push", "issue_comment", "check_run", "check_suite", "create", "delete", "installation", "installation_repositories",
		"installation_target", "merge_group", "repository", "ping", "no_such_event"}
	for _, event := range events {
		for _, body := range strange {
			if status := w.deliver(event, []byte(body)); status/100 != 2 && status != http.StatusBadRequest {
				t.Errorf("%s %.300s: answered %d", event, body, status)
			}
		}
	}
	w.settle()
	if diff := cmp.Diff(before, w.state()); diff != "" {
		t.Errorf("something changed:\n%s", diff)
	}
	if list := w.github.Writes()[writes:]; len(list) > 0 {
		t.Errorf("written to GitHub: %+v", list)
	}
	if name := w.environment(pr).Name; w.cloud.sha(name) != sha {
		t.Error("the preview is gone")
	}
	if log := w.log.String(); strings.Contains(log, "panicked") || strings.Contains(log, canary) {
		t.Errorf("the log holds a panic or a body:\n%s", log)
	}
	w.wantNoSecret()
	w.wantCheck(w.push("feature/one", "two"), "success") // none of them stands in the way
}

// spaces is a body without an end.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}
