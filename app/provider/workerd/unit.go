package workerd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
)

// unit is one preview as this Runtime knows it: while something of it runs, or somebody works on it.
type unit struct {
	name string
	busy chan struct{} // holds one token: Apply and Delete take turns
	logs *logs
	uid  int // 0 before the first Apply, and when ids are not switched; the token guards it

	// Guarded by Runtime.mu.
	refs     int         // who works on it or waits for the token
	instance *instance   // what serves; nil: nothing
	alive    []*instance // everything that has a process, the one that serves among them
}

// checkName refuses what can't be a folder and a host name.
func checkName(name string) error {
	if !preview.NamePattern.MatchString(name) {
		return fmt.Errorf("%q is not the name of a preview", clip(name))
	}
	return nil
}

// enter waits for the turn on a name; the caller leaves.
func (rt *Runtime) enter(ctx context.Context, name string) (*unit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	rt.mu.Lock()
	if rt.closed {
		rt.mu.Unlock()
		return nil, errClosed
	}
	u := rt.units[name]
	if u == nil {
		u = &unit{name: name, busy: make(chan struct{}, 1), logs: newLogs(rt.config.LogBytes)}
		rt.units[name] = u
	}
	u.refs++
	rt.working.Add(1)
	rt.mu.Unlock()
	select {
	case u.busy <- struct{}{}:
		return u, nil
	case <-ctx.Done():
		rt.unref(u)
		return nil, ctx.Err()
	case <-rt.closing:
		rt.unref(u)
		return nil, errClosed
	}
}

func (rt *Runtime) leave(u *unit) {
	<-u.busy
	rt.unref(u)
}

func (rt *Runtime) unref(u *unit) {
	defer rt.working.Done()
	rt.mu.Lock()
	defer rt.mu.Unlock()
	u.refs--
	rt.forget(u)
}

// forget drops a unit of which nothing is left. Runtime.mu is held.
func (rt *Runtime) forget(u *unit) {
	if u.refs == 0 && len(u.alive) == 0 && rt.units[u.name] == u {
		delete(rt.units, u.name)
		rt.users.release(u.uid)
	}
}

// join notes that a generation has a process, which the supervisor buries.
func (rt *Runtime) join(u *unit, next *instance) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	u.alive = append(u.alive, next)
}

// install lets a started generation serve, and returns the one that served before. It fails when
// the Runtime was closed meanwhile.
func (rt *Runtime) install(u *unit, next *instance) (old *instance, err error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.closed {
		return nil, errClosed
	}
	old, u.instance = u.instance, next
	return old, nil
}

// uninstall takes the preview off the gateway, and returns everything of it that still runs.
func (rt *Runtime) uninstall(u *unit) []*instance {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	u.instance = nil
	return slices.Clone(u.alive)
}

// buried notes that nothing of a generation is left.
func (rt *Runtime) buried(u *unit, i *instance) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if n := slices.Index(u.alive, i); n >= 0 {
		u.alive = slices.Delete(u.alive, n, n+1)
	}
	if u.instance == i {
		u.instance = nil
	}
	rt.forget(u)
}

// sweep removes the folders of generations of which nothing runs, such as those of a server before.
func (rt *Runtime) sweep(u *unit) error {
	rt.mu.RLock()
	var keep []string
	for _, i := range u.alive {
		keep = append(keep, i.generation)
	}
	rt.mu.RUnlock()
	names, err := entries(rt.root, u.name)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, generationPrefix) && !slices.Contains(keep, name) {
			if err := rt.root.RemoveAll(u.name + "/" + name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Close stops every Worker and returns when nothing of them is left, or ctx ends. The state
// folder stays: the next Apply of each preview starts it again.
func (rt *Runtime) Close(ctx context.Context) error {
	rt.closeOnce.Do(func() {
		rt.mu.Lock()
		rt.closed = true
		close(rt.closing)
		var serving []*instance
		for _, u := range rt.units {
			if u.instance != nil {
				serving = append(serving, u.instance)
			}
		}
		rt.mu.Unlock()
		for _, i := range serving {
			rt.end(i, true)
		}
		go rt.finish()
	})
	select {
	case <-rt.finished:
		return rt.finishErr
	case <-ctx.Done():
		return fmt.Errorf("close the Worker runtime: %w", ctx.Err())
	}
}

// finish gives back what belongs to the Runtime as a whole once all else is gone.
func (rt *Runtime) finish() {
	defer close(rt.finished)
	rt.working.Wait()
	rt.background.Wait()
	rt.spawner.close()
	rt.finishErr = rt.giveBack()
}
