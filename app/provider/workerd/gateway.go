package workerd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

const (
	// A Worker has this long to send the head of its answer; the body may take any time.
	answerTimeout  = 30 * time.Second
	connectTimeout = 2 * time.Second
)

// ServeHTTP is the gateway: a request to <name>.<domain> is answered by the static files or the
// Worker of that name.
// Any other host, and a name without a Worker, is 404; a Worker that is down is 502.
func (rt *Runtime) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	name, ok := rt.previewName(req.Host)
	if !ok {
		fail(w, http.StatusNotFound, "ENV_PREVIEW_NOT_FOUND", "No preview answers at this host.", "Open the link in the pull request.")
		return
	}
	rt.serve(w, req, name)
}

// serve answers by what is up under that name.
func (rt *Runtime) serve(w http.ResponseWriter, req *http.Request, name string) {
	i := rt.serving(name)
	if i == nil {
		fail(w, http.StatusNotFound, "ENV_PREVIEW_NOT_FOUND", "This preview is not running.", "It may be gone or still being made; see the pull request's check.")
		return
	}
	defer i.drain.leave()
	if !i.healthy() {
		fail(w, http.StatusBadGateway, "ENV_PREVIEW_DOWN", "The Worker has stopped and is being started again.", "Its log says why.")
		return
	}
	if i.site != nil && i.site.answers(req) {
		i.site.ServeHTTP(w, req)
		return
	}
	i.proxy.ServeHTTP(w, req)
}

// serving returns the generation that answers for a name, entered: the caller leaves it.
func (rt *Runtime) serving(name string) *instance {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	// A generation is replaced under the write lock before it is drained, so the one that is
	// found here lets us in, unless the preview is being deleted.
	if u := rt.units[name]; u != nil && u.instance != nil && u.instance.drain.enter() {
		return u.instance
	}
	return nil
}

// previewName takes the preview's name from a Host header.
func (rt *Runtime) previewName(host string) (string, bool) {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.CutSuffix(strings.TrimSuffix(strings.ToLower(host), "."), "."+rt.config.Domain)
}

// reverseProxy leads to one generation's socket, over a connection for each request.
func (rt *Runtime) reverseProxy(i *instance) *httputil.ReverseProxy {
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		DialContext: counted(func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", i.socket)
		}),
		// The runtime may close a connection at any moment between two requests. A GET is then sent once more, a POST can't be; and
		// a new connection to a socket of this machine costs next to nothing.
		DisableKeepAlives:     true,
		ResponseHeaderTimeout: answerTimeout,
		DisableCompression:    true, // pass on what the Worker says, as it says it
	}
	return &httputil.ReverseProxy{
		Transport:     unheard{transport},
		FlushInterval: -1, // streams
		ErrorLog:      slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.URL.Host = i.name
			r.Out.Host = r.In.Host
			r.SetXForwarded()
			r.Out.Header.Set("X-Forwarded-Proto", rt.config.PublicScheme)
			r.Out.Header.Set(protoHeader, rt.config.PublicScheme)
		},
		ModifyResponse: func(r *http.Response) error {
			keepCookies(r.Header)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, req *http.Request, err error) {
			var timeout net.Error
			switch {
			case errors.Is(req.Context().Err(), context.Canceled):
				w.WriteHeader(499) // nobody listens any more
			case errors.As(err, &timeout) && timeout.Timeout():
				fail(w, http.StatusGatewayTimeout, "ENV_PREVIEW_TIMEOUT", "The Worker did not answer in time.", "Its log may say why.")
			default:
				fail(w, http.StatusBadGateway, "ENV_PREVIEW_DOWN", "The Worker broke off.", "It is started again by itself; its log says why.")
			}
		},
	}
}

// keepCookies makes every cookie the preview's own: with a domain it would reach all the other
// previews, which may be other people's.
func keepCookies(h http.Header) {
	for i, cookie := range h["Set-Cookie"] {
		value, attributes, _ := strings.Cut(cookie, ";")
		kept := []string{value}
		for attribute := range strings.SplitSeq(attributes, ";") {
			name, _, _ := strings.Cut(attribute, "=")
			if name = strings.TrimSpace(name); name != "" && !strings.EqualFold(name, "domain") {
				kept = append(kept, attribute)
			}
		}
		h["Set-Cookie"][i] = strings.Join(kept, ";")
	}
}

// fail answers with the envelope that every error of ours has.
func fail(w http.ResponseWriter, status int, code, message, hint string) {
	type body struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Hint    string `json:"hint"`
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]body{"error": {code, message, hint}})
}
