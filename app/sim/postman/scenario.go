package postman

import (
	"maps"
	"slices"
)

// Change is what the last write of a collection did to its folders, requests and saved responses, by their ids.
type Change struct {
	Added, Changed, Removed []string
}

func compare(before, after map[string]string) Change {
	var c Change
	for _, id := range slices.Sorted(maps.Keys(after)) {
		switch old, there := before[id]; {
		case !there:
			c.Added = append(c.Added, id)
		case old != after[id]:
			c.Changed = append(c.Changed, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(before)) {
		if _, there := after[id]; !there {
			c.Removed = append(c.Removed, id)
		}
	}
	return c
}

// Personal and Team are the ids of the two workspaces.
func (s *Server) Personal() string { return s.workspaces[0].id }

// Team is the workspace that the user shares with others.
func (s *Server) Team() string { return s.workspaces[1].id }

// LastChange is what the last write did to the collection of a name.
func (s *Server) LastChange(name string) Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.collections {
		if c.name() == name {
			return s.changes[c.id]
		}
	}
	return Change{}
}

// Value is that of a variable of an environment; empty: there is none.
func (s *Server) Value(name, variable string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.environments {
		for _, v := range e.values {
			if v, ok := v.(object); ok && e.name == name && v["key"] == variable {
				text, _ := v["value"].(string)
				return text
			}
		}
	}
	return ""
}

// Names lists the collections and environments of a workspace by their names.
func (s *Server) Names(workspace string) (collections, environments []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.collections {
		if c.workspace == workspace {
			collections = append(collections, c.name())
		}
	}
	for _, e := range s.environments {
		if e.workspace == workspace {
			environments = append(environments, e.name)
		}
	}
	return collections, environments
}

// Named is how many collections and environments of a workspace have that name.
func (s *Server) Named(workspace, name string) (collections, environments int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.collections {
		if c.workspace == workspace && c.name() == name {
			collections++
		}
	}
	for _, e := range s.environments {
		if e.workspace == workspace && e.name == name {
			environments++
		}
	}
	return collections, environments
}
