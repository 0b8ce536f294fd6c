package cloudflare

import (
	"maps"
	"slices"
)

// Script is what a scenario sees of a script, and can change behind the API's back.
type Script struct {
	Tags   []string
	OnHost bool
	// Bindings are those of the version that serves, by name; a secret's text is there. Changing them does nothing.
	Bindings map[string]Binding
	Versions int
	Serving  string // the id of the version that serves
}

// Binding is one binding of a script.
type Binding struct {
	Type string
	Text string // or JSON, or the name of the script or the thing that it leads to
}

// Script is the script of a name; false: there is none.
func (s *Server) Script(name string) (Script, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.scripts[name]
	if c == nil {
		return Script{}, false
	}
	return c.seen(), true
}

func (c *script) seen() Script {
	seen := Script{Tags: slices.Clone(c.tags), OnHost: c.onHost, Bindings: map[string]Binding{}, Versions: len(c.versions)}
	if c.serving == nil {
		return seen
	}
	seen.Serving = c.serving.id
	for _, b := range c.serving.bindings {
		seen.Bindings[b.Name] = Binding{b.Type, b.Text + string(b.JSON) + b.Service + b.target()}
	}
	return seen
}

// Names lists the account's scripts, in order.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.scripts))
}

// Change changes tags and host of a script, as a person at the dashboard might.
func (s *Server) Change(name string, change func(*Script)) {
	seen, ok := s.Script(name)
	if !ok {
		return
	}
	change(&seen)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.scripts[name]; c != nil {
		c.tags = seen.Tags
		c.show(seen.OnHost, s.cfg.Now())
	}
}

// Rebind makes whatever is deployed from now on run with other secrets than those that were uploaded, as when somebody set them by
// hand; nil: with those.
func (s *Server) Rebind(to func(name, text string) string) {
	if to == nil {
		s.rebind.Store(nil)
		return
	}
	s.rebind.Store(&to)
}
