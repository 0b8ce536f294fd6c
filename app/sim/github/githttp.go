package github

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"
)

// packLimit is the biggest push, in bytes.
const packLimit = 100 << 20

// serveGit speaks the smart HTTP protocol through git's own CGI program. Anyone may fetch a public
// repository; everything else needs a person's push credentials (see PushURL) or an installation token.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	name, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
	push := rest == "git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack"
	repo, by, status := s.gitAccess(r, name, push)
	switch {
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
		http.Error(w, "Authentication required.", status)
		return
	case status == http.StatusForbidden:
		http.Error(w, fmt.Sprintf("Permission to %s.git denied to %s.", name, by.Login), status)
		return
	case status != http.StatusOK:
		http.Error(w, "Repository not found.", status)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, packLimit))
	if err != nil {
		return
	}
	inner := r.Clone(r.Context())
	inner.Body, inner.ContentLength, inner.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil // CGI knows no chunks
	inner.URL.Path = "/" + filepath.Base(repo.dir) + "/" + rest
	inner.Header.Del("Authorization")
	if rest != "git-receive-pack" {
		s.backend(by).ServeHTTP(w, inner)
		return
	}
	s.receive(w, inner, repo, by)
}

// gitAccess finds the repository and who asks, and says with an HTTP status whether they may.
func (s *Server) gitAccess(r *http.Request, name string, push bool) (*repository, *User, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.find(name)
	if repo == nil {
		repo = s.moved[strings.ToLower(name)]
	}
	if repo == nil {
		return nil, nil, http.StatusNotFound
	}
	login, password, ok := r.BasicAuth()
	switch t := s.tokens[password]; {
	case ok && t != nil && t.reaches(repo) && s.now().Before(t.expires):
		bot := s.user(s.BotLogin())
		if push && !t.may("contents:write") {
			return nil, bot, http.StatusForbidden
		}
		return repo, bot, http.StatusOK
	case ok && password == s.pushKey:
		by := s.user(login)
		switch {
		case push && (repo.archived || !repo.canPush(by)):
			return nil, by, http.StatusForbidden
		case repo.role(by) == "none":
			return nil, by, http.StatusNotFound
		}
		return repo, by, http.StatusOK
	case push || repo.private:
		return nil, nil, http.StatusUnauthorized
	}
	return repo, repo.owner, http.StatusOK
}

func (s *Server) backend(by *User) *cgi.Handler {
	return &cgi.Handler{
		Path: s.git.path, Args: []string{"http-backend"}, Root: "/", Dir: s.cfg.Dir, Stderr: io.Discard,
		Env:        append(s.git.env(), "GIT_PROJECT_ROOT="+filepath.Join(s.cfg.Dir, "repositories"), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER="+by.Login),
		InheritEnv: []string{"TMPDIR"},
	}
}

// receive takes a push and does everything that follows from it before the pusher has the answer.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, repo *repository, by *User) {
	repo.writing.Lock()
	defer repo.writing.Unlock()
	ctx := context.WithoutCancel(r.Context()) // a pusher who hangs up does not undo the refs
	before, err := s.git.refs(ctx, repo.dir)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	s.backend(by).ServeHTTP(w, r)
	after, err := s.git.refs(ctx, repo.dir)
	if err != nil {
		s.log.Error("refs after push", "repo", repo.dir, "error", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	changes := changedRefs(before, after)
	s.pushed(ctx, repo, by, changes)
	if s.cfg.AutoOpenPR {
		s.autoOpen(repo, by, changes)
	}
}

// Clone checks a repository out into dir (which must not exist) with push credentials of a person; for tests and the demo.
func (s *Server) Clone(ctx context.Context, repo, login, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("clone of %s: %w", repo, err)
	}
	if _, err := s.git.run(ctx, filepath.Dir(dir), nil, "clone", "--quiet", s.PushURL(repo, login), dir); err != nil {
		return fmt.Errorf("clone of %s: %w", repo, err)
	}
	return nil
}
