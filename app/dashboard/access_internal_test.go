package dashboard

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// gate answers about one login only when it is opened, and about all others at once.
type gate struct {
	Store
	owner preview.Person
	asked chan struct{} // closed when the owner is asked about
	open  chan struct{}
}

func (g gate) Project(context.Context, string) (preview.Project, error) {
	return preview.Project{}, nil
}

func (g gate) Standing(_ context.Context, _ preview.Project, login string) (preview.Standing, error) {
	if login != g.owner.Login {
		return preview.Standing{}, nil
	}
	close(g.asked)
	<-g.open
	return preview.Standing{UserID: g.owner.ID, Role: preview.RoleMaintainer}, nil
}

// Who chose a login that makes id and login, one after the other, those of somebody else gets an answer of
// their own, also while that one waits for theirs.
func TestAnswersAreNotShared(t *testing.T) {
	t.Parallel()
	g := gate{owner: preview.Person{ID: 123, Login: "bob"}, asked: make(chan struct{}), open: make(chan struct{})}
	a := &access{store: g, repositories: g, now: time.Now, known: map[accessKey]verdict{}}
	var waiting sync.WaitGroup
	waiting.Go(func() {
		if may, err := a.may(t.Context(), g.owner, "p"); err != nil || !may {
			t.Errorf("the owner: %t, %v", may, err)
		}
	})
	<-g.asked
	stranger := make(chan bool, 1)
	waiting.Go(func() {
		may, err := a.may(t.Context(), preview.Person{ID: 12, Login: "3bob"}, "p")
		if err != nil {
			t.Errorf("the stranger: %v", err)
		}
		stranger <- may
	})
	opened := time.AfterFunc(5*time.Second, func() { close(g.open) }) // only where the stranger waits for the owner's answer
	if <-stranger {
		t.Error("the stranger got the owner's answer")
	}
	if opened.Stop() {
		close(g.open)
	}
	waiting.Wait()
}
