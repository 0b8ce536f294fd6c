package workerd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Runtime is the provider of preview.KindWorker on this machine, and the gateway to its Workers.
// It is safe for concurrent use; Close ends it.
type Runtime struct {
	config  Config
	root    *os.Root // Config.Dir
	sockets string   // folder of the Unix sockets, whose paths must be short
	spawner *spawner
	users   *users // nil: user ids are not switched

	sequence    atomic.Int64
	noIsolation atomic.Bool
	working     sync.WaitGroup // calls of Apply and Delete; added to under mu
	background  sync.WaitGroup // supervisors; added to by working calls and by each other
	closing     chan struct{}
	closeOnce   sync.Once
	finished    chan struct{}
	finishErr   error // read after finished is closed

	mu     sync.RWMutex
	closed bool
	units  map[string]*unit
}

// New prepares the state folder, removes what a killed server left half done, and starts nothing.
func New(config Config) (*Runtime, error) {
	config, err := config.complete()
	if err != nil {
		return nil, err
	}
	// The preview's users must pass through, and need not list it.
	if err := os.MkdirAll(config.Dir, 0o711); err != nil {
		return nil, fmt.Errorf("workerd state folder: %w", err)
	}
	root, err := os.OpenRoot(config.Dir)
	if err != nil {
		return nil, fmt.Errorf("workerd state folder: %w", err)
	}
	if err := tidy(root); err != nil {
		return nil, errors.Join(fmt.Errorf("workerd state folder: %w", err), root.Close())
	}
	sockets, err := makeSockets(root)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("workerd socket folder: %w", err), root.Close())
	}
	rt := &Runtime{
		config: config, root: root, sockets: sockets, spawner: newSpawner(),
		closing: make(chan struct{}), finished: make(chan struct{}), units: map[string]*unit{},
	}
	if config.SwitchUser {
		rt.users = &users{first: config.FirstUID, count: config.UIDCount, taken: map[int]bool{}}
	}
	return rt, nil
}

// giveBack closes and removes what New made, except the state folder.
func (rt *Runtime) giveBack() error {
	return errors.Join(os.RemoveAll(rt.sockets), rt.root.RemoveAll(socketsFile), rt.root.Close())
}

func newGeneration() string { return generationPrefix + rand.Text() }

// Observe implements reconcile.Provider. The digest is empty unless the Worker answers now.
func (rt *Runtime) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkName(r.Name); err != nil {
		return preview.Observed{}, err
	}
	if err := ctx.Err(); err != nil {
		return preview.Observed{}, err
	}
	m, err := readMark(rt.root, r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return preview.Observed{}, nil
	}
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe worker %s: %w", r.Name, err)
	}
	if m.Owner != r.Mark {
		return preview.Observed{Exists: true}, nil
	}
	observed := preview.Observed{Exists: true, Owned: true, Outputs: preview.Outputs{URL: rt.config.url(r.Name)}}
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	if u := rt.units[r.Name]; u != nil && u.instance != nil && u.instance.generation == m.Generation && u.instance.healthy() {
		observed.Digest = m.Digest
	}
	return observed, nil
}

// Apply implements reconcile.Provider. The old version serves until the new one answers; if that
// never happens it goes on serving, and the error says why.
func (rt *Runtime) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	outputs, err := rt.apply(ctx, r, in)
	if err != nil {
		return preview.Outputs{}, fmt.Errorf("apply worker %s: %w", r.Name, err)
	}
	return outputs, nil
}

func (rt *Runtime) apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := checkName(r.Name); err != nil {
		return preview.Outputs{}, err
	}
	if err := checkBundle(in.Bundle); err != nil {
		return preview.Outputs{}, err
	}
	// What the mark can't hold could not be read again, and would look like somebody else's.
	if len(r.Digest)+len(in.Bundle.Digest) > maxMark/4 {
		return preview.Outputs{}, errors.New("a digest is longer than any digest")
	}
	u, err := rt.enter(ctx, r.Name)
	if err != nil {
		return preview.Outputs{}, err
	}
	defer rt.leave(u)
	m, err := rt.own(r)
	if err != nil {
		return preview.Outputs{}, err
	}
	u.logs.hide(in.Redact)
	running := rt.runs(u)
	if running == nil || r.Reset || running.bundle == "" || running.bundle != in.Bundle.Digest ||
		running.database != in.Outputs.DatabaseURL || !running.healthy() {
		if running, err = rt.replace(ctx, u, r, in); err != nil {
			return preview.Outputs{}, err
		}
	}
	finished := mark{Owner: r.Mark, Digest: r.Digest, Bundle: running.bundle, Generation: running.generation}
	if finished != m {
		if err := writeMark(rt.root, r.Name, finished); err != nil {
			return preview.Outputs{}, fmt.Errorf("mark: %w", err)
		}
	}
	if err := rt.sweep(u); err != nil {
		return preview.Outputs{}, fmt.Errorf("old generations: %w", err)
	}
	return preview.Outputs{URL: rt.config.url(r.Name)}, nil
}

// own makes the preview's folder, or checks that it is this resource's.
func (rt *Runtime) own(r preview.Resource) (mark, error) {
	m, err := readMark(rt.root, r.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := claim(rt.root, r.Name, r.Mark); err != nil {
			return mark{}, fmt.Errorf("folder: %w", err)
		}
		return mark{Owner: r.Mark}, nil
	case err != nil:
		return mark{}, fmt.Errorf("mark: %w", err)
	case m.Owner != r.Mark:
		return mark{}, preview.ErrConflict
	}
	return m, nil
}

// replace starts a new generation beside the one that serves, and then lets it serve.
func (rt *Runtime) replace(ctx context.Context, u *unit, r preview.Resource, in preview.Inputs) (*instance, error) {
	if u.uid == 0 {
		uid, err := rt.users.take(u.name)
		if err != nil {
			return nil, err
		}
		u.uid = uid
	}
	next, err := rt.bring(ctx, u, r, in)
	if err != nil {
		return nil, err
	}
	first := next.process // what answers the question; the supervisor may start another one
	rt.join(u, next)
	rt.background.Go(func() { rt.supervise(u, next) })
	var old *instance
	if err = rt.prove(ctx, next, first, in); err == nil { // before anybody sees it
		old, err = rt.install(u, next)
	}
	if err != nil {
		rt.end(next, false)
		return nil, err
	}
	if old != nil {
		rt.end(old, false)
	}
	return next, nil
}

func (rt *Runtime) runs(u *unit) *instance {
	rt.mu.RLock()
	defer rt.mu.RUnlock()
	return u.instance
}

// Delete implements reconcile.Provider.
func (rt *Runtime) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r.Name); err != nil {
		return err
	}
	u, err := rt.enter(ctx, r.Name)
	if err != nil {
		return fmt.Errorf("delete worker %s: %w", r.Name, err)
	}
	defer rt.leave(u)
	m, err := readMark(rt.root, r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && m.Owner != r.Mark {
		err = preview.ErrConflict
	}
	if err != nil {
		return fmt.Errorf("delete worker %s: %w", r.Name, err)
	}
	for _, running := range rt.uninstall(u) {
		rt.end(running, false)
		running.hurry()
		select {
		case <-running.gone:
		case <-ctx.Done():
			return fmt.Errorf("delete worker %s: %w", r.Name, ctx.Err())
		}
	}
	if err := discard(rt.root, r.Name); err != nil {
		return fmt.Errorf("delete worker %s: %w", r.Name, err)
	}
	return nil
}

// List implements reconcile.Provider.
func (rt *Runtime) List(ctx context.Context) ([]preview.Found, error) {
	names, err := entries(rt.root, ".")
	if err != nil {
		return nil, fmt.Errorf("list workers: %w", err)
	}
	var found []preview.Found
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if checkName(name) != nil {
			continue
		}
		m, err := readMark(rt.root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list workers: %s: %w", name, err)
		}
		if m.Owner != (preview.Mark{}) {
			found = append(found, preview.Found{Kind: preview.KindWorker, Name: name, Mark: m.Owner})
		}
	}
	return found, nil
}

// Logs gives the last lines that the preview of that name wrote, oldest first.
func (rt *Runtime) Logs(name string) []LogLine {
	rt.mu.RLock()
	u := rt.units[name]
	rt.mu.RUnlock()
	if u == nil {
		return nil
	}
	return u.logs.snapshot()
}
