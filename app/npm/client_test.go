package npm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/osv-scalibr/clients/datasource"
)

const tarball = "the bytes of a tarball"

func sri512(content string) string {
	sum := sha512.Sum512([]byte(content))
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

func sri256(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func sri1(content string) string {
	sum := sha1.Sum([]byte(content))
	return "sha1-" + base64.StdEncoding.EncodeToString(sum[:])
}

// registry serves answer and counts the requests by path.
func registry(t *testing.T, answer http.HandlerFunc) (client *Client, paths func() []string) {
	t.Helper()
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.URL.Path)
		mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(server.Close)
	client = newClient(Config{CacheDir: t.TempDir(), MaxBytes: 1 << 10}, datasource.NPMRegistryConfig{
		ScopeURLs: map[string]string{"": server.URL + "/npm/"},
	})
	client.firstDelay = time.Millisecond
	return client, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), seen...)
	}
}

func serveTarball(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(tarball)) }

func TestFetch(t *testing.T) {
	t.Parallel()
	var failures atomic.Int32
	tests := []struct {
		name      string
		pkg       string
		version   string
		integrity string
		answer    http.HandlerFunc
		wantErr   error
		wantPaths []string
	}{
		{
			name: "plain name", pkg: "hono", version: "4.6.3", integrity: sri512(tarball), answer: serveTarball,
			wantPaths: []string{"/npm/hono/-/hono-4.6.3.tgz"},
		},
		{
			name: "scoped name and prerelease", pkg: "@a/b.c", version: "1.0.0-beta.1", integrity: sri512(tarball), answer: serveTarball,
			wantPaths: []string{"/npm/@a/b.c/-/b.c-1.0.0-beta.1.tgz"},
		},
		{
			name: "sha256 alone", pkg: "a", version: "1.0.0", integrity: sri256(tarball), answer: serveTarball,
			wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "strongest of several wins", pkg: "a", version: "1.0.0", answer: serveTarball,
			integrity: sri1("other") + " " + sri256("other") + " " + sri512(tarball),
			wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "a weaker match does not help", pkg: "a", version: "1.0.0", answer: serveTarball,
			integrity: sri256(tarball) + " " + sri512("other"),
			wantErr:   ErrIntegrity, wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "any digest of the strongest may match", pkg: "a", version: "1.0.0", answer: serveTarball,
			integrity: sri512("other") + " " + sri512(tarball) + "?option",
			wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "wrong integrity is not retried", pkg: "a", version: "1.0.0", integrity: sri512("other"), answer: serveTarball,
			wantErr: ErrIntegrity, wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "truncated body is retried and fails", pkg: "a", version: "1.0.0", integrity: sri512(tarball),
			answer: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				_, _ = w.Write([]byte(tarball))
			},
			wantErr:   ErrUnavailable,
			wantPaths: []string{"/npm/a/-/a-1.0.0.tgz", "/npm/a/-/a-1.0.0.tgz", "/npm/a/-/a-1.0.0.tgz", "/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "declared oversize", pkg: "a", version: "1.0.0", integrity: sri512(tarball),
			answer:  func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 1025)) },
			wantErr: ErrTooLarge, wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "undeclared oversize", pkg: "a", version: "1.0.0", integrity: sri512(tarball),
			answer: func(w http.ResponseWriter, _ *http.Request) {
				for range 3 {
					_, _ = w.Write(bytes.Repeat([]byte("x"), 1000))
					w.(http.Flusher).Flush()
				}
			},
			wantErr: ErrTooLarge, wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "redirect to another host", pkg: "a", version: "1.0.0", integrity: sri512(tarball),
			answer: func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "http://127.0.0.1:1/a.tgz", http.StatusFound)
			},
			wantErr: errOtherHost, wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "redirect on the same host", pkg: "a", version: "1.0.0", integrity: sri512(tarball),
			answer: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/blob" {
					http.Redirect(w, r, "/blob", http.StatusFound)
					return
				}
				serveTarball(w, r)
			},
			wantPaths: []string{"/npm/a/-/a-1.0.0.tgz", "/blob"},
		},
		{
			name: "unknown version", pkg: "a", version: "1.0.0", integrity: sri512(tarball), answer: http.NotFound,
			wantErr: ErrNotFound, wantPaths: []string{"/npm/a/-/a-1.0.0.tgz"},
		},
		{
			name: "failure and then the tarball", pkg: "a", version: "1.0.0", integrity: sri512(tarball),
			answer: func(w http.ResponseWriter, r *http.Request) {
				if failures.Add(1) == 1 {
					http.Error(w, "no", http.StatusInternalServerError)
					return
				}
				serveTarball(w, r)
			},
			wantPaths: []string{"/npm/a/-/a-1.0.0.tgz", "/npm/a/-/a-1.0.0.tgz"},
		},
		{name: "sha1 alone", pkg: "a", version: "1.0.0", integrity: sri1(tarball), wantErr: ErrInvalid},
		{name: "no integrity", pkg: "a", version: "1.0.0", wantErr: ErrInvalid},
		{name: "short digest", pkg: "a", version: "1.0.0", integrity: "sha512-AAAA", wantErr: ErrInvalid},
		{name: "parent folder as name", pkg: "..", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "parent folder in scope", pkg: "@../a", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "three parts", pkg: "@a/b/c", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "address as name", pkg: "http://a", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "query in name", pkg: "a?b", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "escape in name", pkg: "a%2fb", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "new line in name", pkg: "a\n", version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "long name", pkg: strings.Repeat("a", 215), version: "1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "range", pkg: "a", version: "^1.0.0", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "path in version", pkg: "a", version: "1.0.0-/../../x", integrity: sri512(tarball), wantErr: ErrInvalid},
		{name: "git reference", pkg: "a", version: "git+ssh://x", integrity: sri512(tarball), wantErr: ErrInvalid},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client, paths := registry(t, test.answer)
			path, err := client.Fetch(t.Context(), test.pkg, test.version, test.integrity, nil)
			if !errors.Is(err, test.wantErr) {
				t.Fatalf("error: got %v, want %v", err, test.wantErr)
			}
			if diff := cmp.Diff(test.wantPaths, paths()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if test.wantErr != nil {
				if diff := cmp.Diff([]string(nil), files(t, client)); diff != "" {
					t.Errorf("a failed fetch leaves files (-want +got):\n%s", diff)
				}
				return
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tarball, string(got)); diff != "" {
				t.Errorf("tarball (-want +got):\n%s", diff)
			}
			if _, err := client.Fetch(t.Context(), test.pkg, test.version, test.integrity, nil); err != nil {
				t.Fatalf("second fetch: %v", err)
			}
			if diff := cmp.Diff(test.wantPaths, paths()); diff != "" {
				t.Errorf("the second fetch asked the registry (-want +got):\n%s", diff)
			}
		})
	}
}

// files lists what is in the client's cache.
func files(t *testing.T, client *Client) []string {
	t.Helper()
	entries, err := os.ReadDir(client.cache.folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestFetchTogether(t *testing.T) {
	t.Parallel()
	client, paths := registry(t, serveTarball)
	var group sync.WaitGroup
	failures := make(chan error, 20)
	for range cap(failures) {
		group.Go(func() {
			path, err := client.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), func(int64, int64) {})
			if err == nil {
				_, err = os.Stat(path)
			}
			failures <- err
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		if err != nil {
			t.Error(err)
		}
	}
	if got := len(paths()); got != 1 {
		t.Errorf("requests: got %d, want 1", got)
	}
}

// Two clients on one folder stand for two processes.
func TestFetchByTwoProcesses(t *testing.T) {
	t.Parallel()
	client, _ := registry(t, serveTarball)
	other := newClient(Config{CacheDir: client.cache.folder}, client.registries)
	var group sync.WaitGroup
	for _, c := range []*Client{client, other, client, other} {
		group.Go(func() {
			if _, err := c.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := len(files(t, client)); got != 1 {
		t.Errorf("files in the cache: got %d, want 1", got)
	}
}

func TestFetchRepairsDamagedCache(t *testing.T) {
	t.Parallel()
	client, paths := registry(t, serveTarball)
	path, err := client.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err = client.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != tarball {
		t.Errorf("got %q, %v", got, err)
	}
	if got := len(paths()); got != 2 {
		t.Errorf("requests: got %d, want 2", got)
	}
}

func TestFetchTellsProgress(t *testing.T) {
	t.Parallel()
	client, _ := registry(t, serveTarball)
	var last string
	if _, err := client.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), func(done, total int64) {
		last = fmt.Sprintf("%d of %d", done, total)
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("22 of 22", last); diff != "" {
		t.Errorf("last call (-want +got):\n%s", diff)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	client, _ := registry(t, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := client.Fetch(ctx, "a", "1.0.0", sri512(tarball), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestFetchGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	client, _ := registry(t, serveTarball)
	asked := 0 // counted here: where it takes long to connect, what is given up never arrives
	client.http.Transport = transport(func(r *http.Request) (*http.Response, error) {
		asked++
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	client.stall = 20 * time.Millisecond
	_, err := client.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), nil)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errStalled) {
		t.Errorf("got %v, want %v because of %v", err, ErrUnavailable, errStalled)
	}
	if asked != attempts {
		t.Errorf("requests: got %d, want %d", asked, attempts)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func TestErrorsHideTheRegistry(t *testing.T) {
	t.Parallel()
	client := newClient(Config{CacheDir: t.TempDir()}, datasource.NPMRegistryConfig{
		ScopeURLs: map[string]string{"": "http://user:hunter2@127.0.0.1:1/"},
	})
	client.firstDelay = time.Millisecond
	_, err := client.Fetch(t.Context(), "a", "1.0.0", sri512(tarball), nil)
	if !errors.Is(err, ErrUnavailable) {
		t.Fatalf("got %v, want %v", err, ErrUnavailable)
	}
	if strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "a@1.0.0") {
		t.Errorf("error text: %v", err)
	}
}

// The operator's .npmrc names a registry for one scope and its token; the token goes nowhere else.
func TestRegistryOfScope(t *testing.T) {
	t.Setenv("npm_config_userconfig", filepath.Join(t.TempDir(), "none"))
	var tokens []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.URL.Path+" "+r.Header.Get("Authorization"))
		serveTarball(w, r)
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	host := strings.TrimPrefix(server.URL, "http:")
	npmrc := fmt.Sprintf("@mine:registry=%s/private/\n%s/private/:_authToken=sesame\nregistry=%s/public\n", server.URL, host, server.URL)
	if err := os.WriteFile(filepath.Join(folder, ".npmrc"), []byte(npmrc), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("npm_config_registry", server.URL+"/public")
	client, err := NewClient(Config{CacheDir: folder})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"@mine/a", "@theirs/a"} {
		if _, err := client.Fetch(t.Context(), name, "1.0.0", sri512(tarball), nil); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(client.cache.folder); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"/private/@mine/a/-/a-1.0.0.tgz Bearer sesame", "/public/@theirs/a/-/a-1.0.0.tgz "}
	if diff := cmp.Diff(want, tokens); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func FuzzReference(f *testing.F) {
	f.Add("@a/b", "1.0.0-beta.1+x", sri512(tarball)+" "+sri256("x"))
	f.Add("../a", "1.0.0/..", "sha512-")
	f.Fuzz(func(t *testing.T, name, version, sri string) {
		if want, err := parseIntegrity(sri); err == nil {
			for _, file := range want.files() {
				if !filepath.IsLocal(file) || strings.ContainsRune(file, filepath.Separator) {
					t.Errorf("integrity %q makes the file name %q", sri, file)
				}
			}
		}
		what, err := parseCoordinate(name, version)
		if err != nil {
			return
		}
		address, err := what.tarball("https://registry.example/npm")
		if err != nil {
			t.Fatal(err)
		}
		if want := "/npm/" + name + "/-/"; address.Host != "registry.example" || !strings.HasPrefix(address.Path, want) || address.RawQuery != "" {
			t.Errorf("%q at %q gives %s", name, version, address)
		}
	})
}
