package github

import "net/http"

type validator struct{}

func newValidator() (*validator, error) { return &validator{}, nil }

func (v *validator) exchange(r *http.Request, rt *route, body []byte, a answer) {}

// Violation is one exchange that does not fit GitHub's description.
type Violation struct {
	Operation string // "POST /repos/{owner}/{repo}/check-runs"
	Reason    string
}

func (v Violation) String() string { return v.Operation + ": " + v.Reason }

// Violations lists what did not fit so far; empty without Config.Validate.
func (s *Server) Violations() []Violation { return nil }
