package cloudflare

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// nothingHere is what workers.dev shows where no Worker is, or not yet.
const nothingHere = `<!DOCTYPE html><html><head><title>Not found</title></head><body><h1>There is nothing here yet</h1>` +
	`<p>If you expect something to be here, it may take some time. Please check back again later.</p></body></html>`

// byHost leads requests for Workers to them, and others to the API.
func (s *Server) byHost(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		var v *version
		if name, ok := strings.CutSuffix(host, "."+s.cfg.Subdomain+"."+domain); ok {
			v = s.atHost(name)
		} else if name, ok := strings.CutSuffix(host, "."+pagesDomain); ok {
			v = s.pagesAt(name)
		} else {
			api.ServeHTTP(w, r)
			return
		}
		if v == nil {
			w.Header().Set("Content-Type", "text/html; charset=UTF-8")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(nothingHere)) // who does not listen can't be told
			return
		}
		v.ServeHTTP(w, r)
	})
}

// atHost is the version that answers at a host; nil: none.
func (s *Server) atHost(name string) *version {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	if c := s.scripts[name]; c != nil {
		if c.onHost == now.Before(c.seenFrom) {
			return nil
		}
		return c.serving
	}
	if p := s.previewAt(name); p != nil {
		if !p.of.previews || now.Before(p.body.seenFrom) {
			return nil
		}
		return p.body.serving
	}
	old, ok := s.stale[name]
	switch {
	case !ok:
		return nil
	case now.Before(old.until):
		return old.script.serving
	}
	delete(s.stale, name)
	s.work.Go(old.script.close)
	return nil
}

// ServeHTTP answers as the version does: from its static files, or by its Worker.
func (v *version) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch running := v.running.Load(); {
	case v.site != nil && v.site.answers(r):
		v.site.ServeHTTP(w, r)
	case running == nil:
		w.WriteHeader(http.StatusBadGateway) // replaced in this very moment
	default:
		running.proxy.ServeHTTP(w, r)
	}
}

// inner serves a handler on a Unix socket, for bindings.
type inner struct {
	socket  string
	server  *http.Server
	serving sync.WaitGroup
}

func listen(socket string, handler http.Handler) (*inner, error) {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	i := &inner{socket: socket, server: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}}
	i.serving.Go(func() { _ = i.server.Serve(listener) }) // ends by close
	return i, nil
}

func (i *inner) close() {
	_ = i.server.Close()
	i.serving.Wait()
}

// listenInner makes the way for service bindings to a script: whatever serves of it, at any time.
func (s *Server) listenInner(name string) (*inner, error) {
	return listen(s.path(".svc"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		var v *version
		if c := s.scripts[name]; c != nil {
			v = c.serving
		}
		s.mu.Unlock()
		if v == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		v.ServeHTTP(w, r)
	}))
}

// target is the socket of a script that a binding leads to.
func (s *Server) target(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.scripts[name]; c != nil && c.inner != nil {
		return c.inner.socket, nil
	}
	return "", errors.New("the Worker that a service binding leads to is gone")
}
