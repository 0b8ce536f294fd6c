package dashboard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/flaresmith/flaresmith/app/preview"
)

const (
	accessLife  = time.Minute     // who lost their role is shut out within it
	troubleLife = 5 * time.Second // GitHub is not asked again and again while it does not answer
	askTimeout  = 10 * time.Second
	maxKnown    = 10_000 // answers; beyond it all are forgotten at once
)

// access knows who may see which project, as GitHub said within the last minute. It is safe for
// concurrent use.
type access struct {
	store        Store
	repositories Repositories
	now          func() time.Time

	asking singleflight.Group
	mu     sync.Mutex
	known  map[accessKey]verdict
}

type accessKey struct {
	person  preview.Person
	project string
}

// String is another text for every other key: neither a login nor a project's id has a slash.
func (k accessKey) String() string {
	return fmt.Sprintf("%d/%s/%s", k.person.ID, k.person.Login, k.project)
}

type verdict struct {
	may   bool
	err   error
	until time.Time
}

// may tells whether the person may see the project. A project that there is not is nobody's.
func (a *access) may(ctx context.Context, p preview.Person, projectID string) (bool, error) {
	key := accessKey{p, projectID}
	if v, ok := a.remembered(key); ok {
		return v.may, v.err
	}
	// Who asks first may leave; the others still want the answer.
	asked := a.asking.DoChan(key.String(), func() (any, error) {
		v := verdict{until: a.now().Add(accessLife)}
		actx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		if v.may, v.err = a.ask(actx, key); v.err != nil {
			v.until = a.now().Add(troubleLife)
		}
		a.remember(key, v)
		return v.may, v.err
	})
	select {
	case <-ctx.Done():
		return false, ctx.Err()
	case answer := <-asked:
		may, _ := answer.Val.(bool)
		return may && answer.Err == nil, answer.Err
	}
}

// ask asks GitHub. The person must still be who has the login: logins are given up and taken.
func (a *access) ask(ctx context.Context, key accessKey) (bool, error) {
	project, err := a.store.Project(ctx, key.project)
	if errors.Is(err, preview.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	standing, err := a.repositories.Standing(ctx, project, key.person.Login)
	if preview.Classify(err) == preview.ClassNotFound { // the repository or the installation is gone
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return standing.UserID == key.person.ID && standing.Role.AtLeast(preview.RoleViewer) && !standing.Everybody, nil
}

func (a *access) remembered(key accessKey) (verdict, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.known[key]
	return v, ok && a.now().Before(v.until)
}

func (a *access) remember(key accessKey, v verdict) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[key] = v
}
