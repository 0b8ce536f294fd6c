package preview

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Class is what the reconciler decides by; see Classify.
type Class string

// The classes of error.
const (
	ClassTransient Class = "transient" // try again after a delay
	ClassPermanent Class = "permanent" // shown, and looked at again slowly
	ClassInvalid   Class = "invalid"   // the user's fault: shown in the check with the place to fix
	ClassApproval  Class = "approval"  // a person must approve this commit first
	ClassConflict  Class = "conflict"  // something that is not ours is in the way
	ClassNotFound  Class = "not_found"
)

// ErrNotFound is returned when the named thing does not exist.
var ErrNotFound = errors.New("not found")

// ErrConflict is returned when a thing of that name exists and does not carry our mark.
var ErrConflict = errors.New("exists and is not ours")

// ErrNoRoom is returned when an outside system holds as many things as its operator's account may have.
var ErrNoRoom = errors.New("there is no room for another one")

// ErrUnmasked is returned while the data of an anonymised parent is not masked yet.
var ErrUnmasked = errors.New("the parent's data is not masked yet")

// ErrGone is returned when GitHub no longer lets us see the repository or installation.
var ErrGone = errors.New("installation or repository is gone")

// ErrNotPermitted is returned where GitHub refuses a write: the App lacks the permission for it, or a rule of the
// repository forbids it.
var ErrNotPermitted = errors.New("GitHub does not permit it")

// TransientError says that the same call may work later.
type TransientError struct {
	After time.Duration // at least this long from now; zero: the caller's own backoff
	Err   error
}

func (e *TransientError) Error() string { return e.Err.Error() }
func (e *TransientError) Unwrap() error { return e.Err }

// Transient wraps err as a TransientError with no particular delay.
func Transient(err error) error { return &TransientError{Err: err} }

// Problem is one thing that the user must fix, at a place in the repository.
type Problem struct {
	Path    string `json:"path,omitempty"` // relative to the repository's root; empty: no place
	Line    int    `json:"line,omitempty"` // from 1; 0: unknown
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`           // what is wrong, one sentence
	Hint    string `json:"hint,omitempty"`    // what to do about it
	Warning bool   `json:"warning,omitempty"` // keeps nothing from working, and should be known
}

// String is "path:line:column: message".
func (p Problem) String() string {
	var b strings.Builder
	if p.Path != "" {
		b.WriteString(p.Path)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
			if p.Column > 0 {
				fmt.Fprintf(&b, ":%d", p.Column)
			}
		}
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// InvalidError says that what the user gave can't work, and lists every problem found.
type InvalidError struct {
	What     string // e.g. "the Worker does not compile"
	Problems []Problem
}

func (e *InvalidError) Error() string {
	var parts []string
	for _, p := range e.Problems {
		if !p.Warning {
			parts = append(parts, p.String())
		}
	}
	return e.What + ": " + strings.Join(parts, "; ")
}

// Invalid makes an InvalidError with one problem.
func Invalid(what string, p Problem) error { return &InvalidError{What: what, Problems: []Problem{p}} }

// ApprovalError says that nothing was done because a person must approve the commit first, and why.
type ApprovalError struct {
	Problems []Problem // the destructive statements, and warnings
}

func (e *ApprovalError) Error() string {
	destructive := 0
	for _, p := range e.Problems {
		if !p.Warning {
			destructive++
		}
	}
	return fmt.Sprintf("needs approval: %d destructive statements", destructive)
}

// Classify tells the class of an error by its chain; an error without a class is permanent.
func Classify(err error) Class {
	var transient *TransientError
	var invalid *InvalidError
	var approval *ApprovalError
	switch {
	case errors.As(err, &invalid):
		return ClassInvalid
	case errors.As(err, &approval):
		return ClassApproval
	case errors.As(err, &transient):
		return ClassTransient
	case errors.Is(err, ErrConflict):
		return ClassConflict
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrGone):
		return ClassNotFound
	default:
		return ClassPermanent
	}
}
