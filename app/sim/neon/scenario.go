package neon

import (
	"strings"
	"time"
)

// Branch is what a scenario can change of a branch behind the API's back.
type Branch struct {
	Name      string
	Default   bool
	Protected bool
	Parent    string // id; empty: a root
	// Masking is how far the masking of an anonymised branch is, e.g. "anonymizing" or "anonymized"; empty: it is none.
	Masking string
	Expires time.Time // zero: it has no end
}

// Change changes the branch of a name, as a person at Neon's console might.
func (s *Server) Change(name string, change func(*Branch)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.project.named(name)
	if b == nil {
		return
	}
	seen := Branch{Name: b.name, Default: b.isDefault, Protected: b.protected, Parent: b.parent, Masking: b.masking, Expires: b.expires}
	change(&seen)
	b.name, b.isDefault, b.protected, b.parent, b.masking, b.expires = seen.Name, seen.Default, seen.Protected, seen.Parent, seen.Masking, seen.Expires
}

// BranchesNamed is how many branches there are whose names begin so.
func (s *Server) BranchesNamed(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.project.branches {
		if strings.HasPrefix(b.name, prefix) && !b.deleting {
			n++
		}
	}
	return n
}

// Names lists the project's branches, oldest first.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, b := range s.project.all() {
		if !b.deleting {
			names = append(names, b.name)
		}
	}
	return names
}

// RootURI is the connection string of the root branch's owner.
func (s *Server) RootURI() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uri(s.project.named("main"), firstRole, firstDatabase, false)
}

// Suspend puts the compute of the branch of a name to sleep, as happens when nobody uses it.
func (s *Server) Suspend(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.project.named(name); b != nil && b.endpoint != nil {
		b.endpoint.state = "idle"
		s.gate.cut(func(id string) bool { return id == b.id })
	}
}

// Awake reports whether the compute of the branch of a name runs, or is starting.
func (s *Server) Awake(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.project.named(name)
	return b != nil && b.endpoint != nil && b.endpoint.state != "idle"
}
