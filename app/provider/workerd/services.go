package workerd

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	maxServices     = 32
	maxServiceConns = 64 // requests at once on one binding; further ones wait
)

// service is what one binding of a Worker leads to: a handler of the server's on a Unix socket. It hands
// out nothing that a browser could not ask the gateway for, so whatever the Worker sends there can't do more
// than a browser could.
type service struct {
	name    string // in the runtime's configuration
	socket  string // path
	handler http.Handler
	timeout time.Duration // for one request with its answer; 0: none
}

// services are those of a checked bundle; paths of their sockets begin with socket.
func (rt *Runtime) services(r preview.Resource, bundle *preview.Bundle, files http.Handler, socket string) []service {
	var list []service
	if bindsAssets(bundle) {
		list = append(list, service{name: assetsService, socket: socket + ".www", handler: files, timeout: assetTimeout})
	}
	for n, binding := range slices.Sorted(maps.Keys(bundle.Services)) {
		sibling := r.Sibling(bundle.Services[binding])
		list = append(list, service{name: serviceName(n), socket: fmt.Sprintf("%s.s%d", socket, n),
			handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { rt.serve(w, req, sibling) })})
	}
	return list
}

// serviceName is that of the nth binding to another Worker, in the order of their names.
func serviceName(n int) string { return fmt.Sprintf("sibling-%d", n) }

// checkServices reports bindings to other Workers that can't be made.
func checkServices(bundle *preview.Bundle, complain func(string, ...any)) {
	for _, b := range bundle.Bindings {
		complain("the binding %q can't be made in a local preview: this machine has no account", clip(b.Name))
	}
	if len(bundle.Services) > maxServices {
		complain("more than %d bindings lead to other Workers", maxServices)
	}
	for _, binding := range slices.Sorted(maps.Keys(bundle.Services)) {
		_, text := bundle.Vars[binding]
		_, other := bundle.JSONVars[binding]
		if !validBinding(binding) || text || other || binding == bundle.DatabaseBinding || bundle.Assets != nil && binding == bundle.Assets.Binding {
			complain("the binding %q to another Worker can't be used", clip(binding))
		}
		if to := bundle.Services[binding]; to != "" && !preview.ValidWorkerName(to) {
			complain("the binding %q leads to %q, which is no Worker's name", clip(binding), clip(to))
		}
	}
}

// serviceServer is a service that is listened for.
type serviceServer struct {
	server  *http.Server
	serving sync.WaitGroup
}

// listen starts to serve. The socket belongs to uid when that is not zero.
func (s service) listen(uid int) (*serviceServer, error) {
	listener, err := net.Listen("unix", s.socket)
	if err != nil {
		return nil, fmt.Errorf("the way to %s: %w", s.name, err)
	}
	if err := os.Chmod(s.socket, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	if uid != 0 {
		if err := os.Chown(s.socket, uid, uid); err != nil {
			return nil, errors.Join(err, listener.Close())
		}
	}
	server := &serviceServer{server: &http.Server{
		Handler: s.handler, ReadHeaderTimeout: assetTimeout, ReadTimeout: s.timeout, WriteTimeout: s.timeout, IdleTimeout: assetTimeout,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}}
	server.server.SetKeepAlivesEnabled(false)                                                               // an idle connection would keep others waiting
	server.serving.Go(func() { _ = server.server.Serve(netutil.LimitListener(listener, maxServiceConns)) }) // ends with close
	return server, nil
}

// close ends every connection.
func (s *serviceServer) close() {
	_ = s.server.Close()
	s.serving.Wait()
}
