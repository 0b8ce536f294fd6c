package postman

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

// environment is one in the workspace.
type environment struct {
	uid    string
	mark   mark
	values []postmanfile.Variable // without the mark
}

func (e environment) upToDate(digest string, values []postmanfile.Variable) bool {
	return e.mark.Digest == digest && slices.Equal(e.values, values)
}

// collection is one in the workspace.
type collection struct {
	uid  string
	mark mark
}

// state is what of one name there is in the workspace: any number, for names are not unique.
type state struct {
	environments []environment
	collections  []collection
}

// mostOfOneName bounds how many things of one name are looked at.
const mostOfOneName = 20

// look finds everything of a name: a request, and one for each environment, of which the one that was there at last is read
// at the same moment. A collection that an environment calls its own is believed; any other one is asked.
func (p *Provider) look(ctx context.Context, name string) (state, error) {
	known := p.knownUID(name)
	collections, environments, first, err := p.begin(ctx, known)
	if err != nil {
		return state{}, err
	}
	other := func(ref reference) bool { return ref.Name != name || ref.UID == "" }
	collections, environments = slices.DeleteFunc(collections, other), slices.DeleteFunc(environments, other)
	if n := len(collections) + len(environments); n > mostOfOneName {
		return state{}, fmt.Errorf("there are %d collections and environments of that name", n)
	}
	var s state
	of := map[string]mark{}
	for _, ref := range environments {
		all, err := first.values, first.err
		if ref.UID != known {
			all, err = p.api.environment(ctx, ref.UID)
		}
		if status(err) == http.StatusNotFound {
			continue // deleted meanwhile
		}
		if err != nil {
			return state{}, err
		}
		e := environment{uid: ref.UID}
		e.values, e.mark = markOf(all)
		s.environments = append(s.environments, e)
		if e.mark.Collection != "" {
			of[e.mark.Collection] = mark{Mark: e.mark.Mark}
		}
	}
	for _, ref := range collections {
		m, claimed := of[ref.UID]
		if !claimed {
			m, err = p.collectionMark(ctx, ref.UID)
			if status(err) == http.StatusNotFound {
				continue
			}
			if err != nil {
				return state{}, err
			}
		}
		s.collections = append(s.collections, collection{ref.UID, m})
	}
	if len(s.environments) == 1 {
		p.rememberUID(name, s.environments[0].uid)
	} else {
		p.rememberUID(name, "")
	}
	return s, nil
}

// answer is that of a question for an environment.
type answer struct {
	values []variable
	err    error
}

// begin lists the workspace, and reads the environment that is known at the same moment: its answer counts only if it is in the list.
func (p *Provider) begin(ctx context.Context, known string) (collections, environments []reference, first answer, err error) {
	group, within := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		collections, environments, err = p.api.workspace(within, p.workspace)
		return err
	})
	if known != "" {
		group.Go(func() error {
			first.values, first.err = p.api.environment(within, known)
			return nil
		})
	}
	err = group.Wait()
	return collections, environments, first, err
}

// split gives what carries the mark, and whether there is anything else.
func (s state) split(m preview.Mark) (ours state, foreign bool) {
	for _, e := range s.environments {
		if m.Project != "" && e.mark.Mark == m {
			ours.environments = append(ours.environments, e)
		} else {
			foreign = true
		}
	}
	for _, c := range s.collections {
		if m.Project != "" && c.mark.Mark == m {
			ours.collections = append(ours.collections, c)
		} else {
			foreign = true
		}
	}
	return ours, foreign
}

func (s state) empty() bool { return len(s.environments)+len(s.collections) == 0 }

// whole reports one environment, and the collection that it calls its own and no other.
func (s state) whole() bool {
	if len(s.environments) != 1 {
		return false
	}
	uid := s.environments[0].mark.Collection
	if uid == "" {
		return len(s.collections) == 0
	}
	return len(s.collections) == 1 && s.collections[0].uid == uid
}

// chosen is the collection to keep: the one that an environment calls its own, or else the first. Empty: there is none.
func (s state) chosen() string {
	for _, e := range s.environments {
		if slices.ContainsFunc(s.collections, func(c collection) bool { return c.uid == e.mark.Collection }) {
			return e.mark.Collection
		}
	}
	if len(s.collections) > 0 {
		return s.collections[0].uid
	}
	return ""
}
