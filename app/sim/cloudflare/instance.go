package cloudflare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 30 * time.Second
	drainTime    = time.Second // of a version that was replaced
	stopTime     = 3 * time.Second
)

// instance is a running workerd.
type instance struct {
	cmd    *exec.Cmd
	folder string
	proxy  *httputil.ReverseProxy
	idle   func()
	assets *inner // nil: no binding to static files
	gone   chan struct{}
	once   sync.Once
}

// tail keeps the beginning of what a process prints.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	const most = 8 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	if room := most - t.text.Len(); room > 0 {
		t.text.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.text.String())
}

// run starts a version and returns when it listens. A script that does not start is its uploader's fault.
func (s *Server) run(v *version) (*instance, error) {
	i := &instance{folder: s.path(".d"), gone: make(chan struct{})}
	if err := os.Mkdir(i.folder, 0o700); err != nil {
		return nil, err
	}
	if v.site != nil {
		var err error
		if i.assets, err = listen(s.path(".www"), v.site); err != nil {
			return nil, errors.Join(err, os.RemoveAll(i.folder))
		}
	}
	if err := s.launch(i, v); err != nil {
		i.release()
		return nil, err
	}
	return i, nil
}

func (s *Server) launch(i *instance, v *version) error {
	config, environment, err := s.configure(v, i)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(i.folder, configFile), []byte(config), 0o600); err != nil {
		return err
	}
	for n, m := range v.modules {
		if err := os.WriteFile(filepath.Join(i.folder, moduleFile(n)), m.content, 0o600); err != nil {
			return err
		}
	}
	socket := s.path(".in")
	control, controlled, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = control.Close() }()
	said := &tail{}
	i.cmd = &exec.Cmd{
		Path: s.cfg.Workerd, Args: []string{"workerd", "serve", "--socket-addr=http=unix:" + socket, "--control-fd=3", filepath.Join(i.folder, configFile)},
		Env: environment, Dir: i.folder, Stdout: said, Stderr: said, ExtraFiles: []*os.File{controlled}, WaitDelay: stopTime, SysProcAttr: attributes(),
	}
	err = s.spawner.start(i.cmd)
	_ = controlled.Close()
	if err != nil {
		i.cmd = nil
		return fmt.Errorf("workerd: %w", err)
	}
	go func() {
		defer close(i.gone)
		_ = i.cmd.Wait() // the state is in ProcessState
	}()
	if err := listening(control, i.gone); err != nil {
		i.stop()
		if !errors.Is(err, errEnded) {
			return err
		}
		return fail(http.StatusBadRequest, codeUpload, "%s", said)
	}
	i.serve(socket)
	return nil
}

var errEnded = errors.New("workerd ended before it listened")

// listening waits until workerd says on its control pipe that it listens.
func listening(control *os.File, gone <-chan struct{}) error {
	said := make(chan bool, 1)
	go func() {
		line := make([]byte, 4<<10)
		n, _ := control.Read(line)
		said <- bytes.Contains(line[:n], []byte(`"listen"`))
	}()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case ok := <-said:
		if ok {
			return nil
		}
	case <-gone:
	case <-timer.C:
		return errors.New("workerd does not start in time")
	}
	return errEnded
}

// serve makes the way to a process that listens.
func (i *instance) serve(socket string) {
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
		DisableCompression: true,
	}
	i.idle = transport.CloseIdleConnections
	i.proxy = &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "worker"})
			r.Out.Host = r.In.Host // what the Worker sees in its URL
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}

// drain ends the instance after the requests that it may still have.
func (i *instance) drain(hurry <-chan struct{}) {
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-hurry:
	case <-i.gone:
	}
	i.stop()
}

// stop ends the instance and returns when nothing of it is left.
func (i *instance) stop() {
	i.once.Do(func() {
		_ = i.cmd.Process.Signal(syscall.SIGTERM)
		timer := time.NewTimer(stopTime)
		defer timer.Stop()
		select {
		case <-i.gone:
		case <-timer.C:
			_ = i.cmd.Process.Kill()
			<-i.gone
		}
		i.release()
	})
}

// release gives back what an instance without a process holds.
func (i *instance) release() {
	if i.idle != nil {
		i.idle()
	}
	if i.assets != nil {
		i.assets.close()
	}
	_ = os.RemoveAll(i.folder) //nolint:gosec // a folder of our own, see Server.path
}
