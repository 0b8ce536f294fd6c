package inbox_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" // #nosec G505 -- to prove that its signature is ignored
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/s2"
	"github.com/palantir/go-githubapp/githubapp"

	"github.com/flaresmith/flaresmith/app/inbox"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/store/storetest"
)

const (
	oldSecret = "the-secret-before"
	newSecret = "the-secret-now"
)

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// request is a delivery as GitHub sends it, signed with the new secret.
func request(t *testing.T, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/github/hook", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-GitHub-Event", "pull_request")
	r.Header.Set("X-GitHub-Delivery", "guid-1")
	r.Header.Set("X-Hub-Signature-256", sign(newSecret, []byte(body)))
	return r
}

// scheduled keeps what the handler let in.
type scheduled struct {
	list []githubapp.Dispatch
	err  error
}

func (s *scheduled) Schedule(_ context.Context, d githubapp.Dispatch) error {
	d.Payload = bytes.Clone(d.Payload)
	s.list = append(s.list, d)
	return s.err
}

func TestHandlerAnswers(t *testing.T) {
	t.Parallel()
	const body = `{"action":"opened"}`
	form := "payload=" + url.QueryEscape(body)
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	tests := []struct {
		name   string
		body   string
		change func(*http.Request)
		status int
	}{
		{"signed", body, nil, 202},
		{"signed with the older secret", body, set("X-Hub-Signature-256", sign(oldSecret, []byte(body))), 202},
		{"charset", body, set("Content-Type", "application/json; charset=utf-8"), 202},
		{"form", form, set("Content-Type", "application/x-www-form-urlencoded"), 202},
		{"delivery id of any characters", body, set("X-GitHub-Delivery", "run 7 / é~"), 202},
		{"delivery id of 128 characters", body, set("X-GitHub-Delivery", strings.Repeat("é", 128)), 202},
		{"event with a digit", body, set("X-GitHub-Event", "projects_v2_item"), 202},

		{"get", body, func(r *http.Request) { r.Method = http.MethodGet }, 405},
		{"content type", body, set("Content-Type", "text/plain"), 415},
		{"no content type", body, set("Content-Type", ""), 415},
		{"announced too large", body, func(r *http.Request) { r.ContentLength = inbox.MaxBody + 1 }, 413},
		{"too large without a length", strings.Repeat(" ", inbox.MaxBody+1), func(r *http.Request) { r.ContentLength = -1 }, 413},
		{"no event", body, set("X-GitHub-Event", ""), 400},
		{"event that is none", body, set("X-GitHub-Event", "pull request; DROP"), 400},
		{"no delivery id", body, set("X-GitHub-Delivery", ""), 400},
		{"delivery id too long", body, set("X-GitHub-Delivery", strings.Repeat("a", 129)), 400},
		{"delivery id with a control character", body, set("X-GitHub-Delivery", "a\x00b"), 400},
		{"delivery id that is no text", body, set("X-GitHub-Delivery", "a\xffb"), 400},
		{"no signature", body, set("X-Hub-Signature-256", ""), 401},
		{"signature without algorithm", body, set("X-Hub-Signature-256", strings.Repeat("a", 64)), 401},
		{"signature too short", body, set("X-Hub-Signature-256", "sha256=abcd"), 401},
		{"signature not hexadecimal", body, set("X-Hub-Signature-256", "sha256="+strings.Repeat("z", 64)), 401},
		{"sha-1 only", body, func(r *http.Request) {
			mac := hmac.New(sha1.New, []byte(newSecret))
			mac.Write([]byte(body))
			r.Header.Del("X-Hub-Signature-256")
			r.Header.Set("X-Hub-Signature", "sha1="+hex.EncodeToString(mac.Sum(nil)))
		}, 401},
		{"another secret", body, set("X-Hub-Signature-256", sign("guess", []byte(body))), 403},
		{"empty secret", body, set("X-Hub-Signature-256", sign("", []byte(body))), 403},
		{"another body", body, set("X-Hub-Signature-256", sign(newSecret, []byte(body+" "))), 403},
		{"signature of the JSON inside a form", form, func(r *http.Request) {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("X-Hub-Signature-256", sign(newSecret, []byte(body)))
		}, 403},
		{"not JSON", `{"action":`, nil, 400},
		{"not an object", `[1]`, nil, 400},
		{"empty", ``, nil, 400},
		{"form without payload", "a=b", set("Content-Type", "application/x-www-form-urlencoded"), 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := &scheduled{}
			h, err := inbox.NewHandler(s, inbox.Options{Secrets: []preview.Secret{newSecret, oldSecret}, Logger: slog.New(slog.NewJSONHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			r := request(t, tt.body)
			if tt.change != nil {
				tt.change(r)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if stored := len(s.list) == 1; stored != (tt.status == http.StatusAccepted) {
				t.Errorf("scheduled %d deliveries with status %d", len(s.list), w.Code)
			}
			if len(s.list) == 1 && string(s.list[0].Payload) != body {
				t.Errorf("payload %q, want the JSON", s.list[0].Payload)
			}
			var envelope map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &envelope); err != nil || len(envelope) != 1 {
				t.Errorf("body %q is no envelope: %v", w.Body, err)
			}
			if strings.Contains(log.String()+w.Body.String(), "opened") {
				t.Errorf("the payload is in the log or the answer: %s %s", &log, w.Body)
			}
		})
	}
}

func TestHandlerStoreDown(t *testing.T) {
	t.Parallel()
	h, err := inbox.NewHandler(&scheduled{err: preview.Transient(errors.New("connection refused"))},
		inbox.Options{Secrets: []preview.Secret{newSecret}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request(t, `{}`))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	if strings.Contains(w.Body.String(), "refused") {
		t.Errorf("the answer tells of our insides: %s", w.Body)
	}
}

func TestNewHandlerNeedsSecrets(t *testing.T) {
	t.Parallel()
	for name, secrets := range map[string][]preview.Secret{"none": nil, "empty": {""}, "blank": {" "}, "one empty of two": {newSecret, ""}} {
		if _, err := inbox.NewHandler(&scheduled{}, inbox.Options{Secrets: secrets}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A large announced body is refused before a byte of it is read.
func TestHandlerDoesNotReadTooLarge(t *testing.T) {
	t.Parallel()
	h, err := inbox.NewHandler(&scheduled{}, inbox.Options{Secrets: []preview.Secret{newSecret}})
	if err != nil {
		t.Fatal(err)
	}
	r := request(t, `{}`)
	r.ContentLength = inbox.MaxBody + 1
	r.Body = io.NopCloser(readerFunc(func([]byte) (int, error) { t.Error("the body was read"); return 0, io.EOF }))
	h.ServeHTTP(httptest.NewRecorder(), r)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// 202 means committed; a doubled id is 202 and changes nothing; nothing is written without a signature.
func TestHandlerStores(t *testing.T) {
	t.Parallel()
	s := storetest.New(t)
	scheduler := running(t, s)
	h, err := inbox.NewHandler(scheduler, inbox.Options{Secrets: []preview.Secret{newSecret}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	post := func(r *http.Request, want int) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Fatalf("status %d, want %d: %s", w.Code, want, w.Body)
		}
	}
	const body = `{"pull_request":{"number":7},"repository":{"id":2},"installation":{"id":1}}`
	forged := request(t, body)
	forged.Header.Set("X-Hub-Signature-256", sign("guess", []byte(body)))
	post(forged, http.StatusForbidden)
	post(request(t, body), http.StatusAccepted)
	post(request(t, body), http.StatusAccepted)

	type row struct {
		GUID, Event        string
		Installation, Repo int64
		PR                 int
		Payload            string
	}
	var got row
	var compressed []byte
	err = s.Pool().QueryRow(t.Context(), `SELECT guid, event, installation_id, repo_id, pr, payload FROM deliveries`).
		Scan(&got.GUID, &got.Event, &got.Installation, &got.Repo, &got.PR, &compressed)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := s2.Decode(nil, compressed)
	if err != nil {
		t.Fatal(err)
	}
	got.Payload = string(payload)
	if diff := cmp.Diff(row{"guid-1", "pull_request", 1, 2, 7, body}, got); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	var deliveries, jobs, wanted int
	err = s.Pool().QueryRow(t.Context(), `SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM river_job), (SELECT sum(wanted) FROM pr_work)`).
		Scan(&deliveries, &jobs, &wanted)
	if err != nil {
		t.Fatal(err)
	}
	if deliveries != 1 || jobs != 1 || wanted != 1 {
		t.Errorf("%d deliveries, %d jobs, wanted %d; want one of each", deliveries, jobs, wanted)
	}
	s.Close()
	late := request(t, body)
	late.Header.Set("X-GitHub-Delivery", "guid-2")
	post(late, http.StatusServiceUnavailable)
}
