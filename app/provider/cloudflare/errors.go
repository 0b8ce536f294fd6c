package cloudflare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Codes of Cloudflare's errors.
const (
	codeParse       = 10006 // the script does not parse
	codeNoScript    = 10007
	codeUnknown     = 10013
	codeInvalid     = 10021 // the script does not start
	codeNoPreview   = 10025
	codeTooLarge    = 10027
	codeAtOnce      = 10035 // somebody else changes it
	codeTooMany     = 10037 // scripts
	codeVarTooLarge = 10054
	codeTooManyVars = 10055
	codeNoHandlers  = 10068
	codeNoService   = 10090
	// Of Pages.
	codePagesUnknown    = 8000000
	codeProjectExists   = 8000002
	codeNoProject       = 8000007
	codeNoDeployment    = 8000009
	codeUploadToken     = 8000013 // of static files: it has run out
	codeTooManyProjects = 8000027
	codeDeploymentsLeft = 8000076 // too many to delete the project
)

// limitedFor is how long Cloudflare refuses everything once its limit is exceeded.
const limitedFor = 5 * time.Minute

// apiError is an answer of Cloudflare that says no.
type apiError struct {
	status int
	after  time.Duration
	errors []struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}
}

func (e *apiError) Error() string {
	said := []string{}
	for _, one := range e.errors {
		said = append(said, fmt.Sprintf("%s [code: %d]", clip(one.Message), one.Code))
	}
	return strings.TrimSpace(fmt.Sprintf("cloudflare answers %d: %s", e.status, strings.Join(said, "; ")))
}

// has reports whether one of the codes is among the errors.
func (e *apiError) has(codes ...int) bool {
	for _, one := range e.errors {
		if slices.Contains(codes, one.Code) {
			return true
		}
	}
	return false
}

// missing reports whether what has one of these codes when it is not there is not there.
func missing(err error, codes ...int) bool {
	var api *apiError
	return errors.As(err, &api) && api.status == http.StatusNotFound && api.has(codes...)
}

// noScript and noPreview report what is not there.
func noScript(err error) bool  { return missing(err, codeNoScript, codeNoService) }
func noPreview(err error) bool { return missing(err, codeNoPreview) }

// classify gives an error its class; one that has a class keeps it.
func classify(err error) error {
	if err == nil || preview.Classify(err) != preview.ClassPermanent {
		return err
	}
	var api *apiError
	if !errors.As(err, &api) {
		return unanswered(err)
	}
	switch {
	case api.status == http.StatusTooManyRequests:
		after := api.after
		if after == 0 {
			after = limitedFor
		}
		return &preview.TransientError{After: after, Err: err}
	case api.has(codeTooMany, codeTooManyProjects):
		return &preview.TransientError{After: api.after, Err: fmt.Errorf("%w: %w", preview.ErrNoRoom, err)}
	// A script that was just uploaded may not be known everywhere yet.
	case api.status >= http.StatusInternalServerError, api.status == http.StatusRequestTimeout,
		api.has(codeUnknown, codeAtOnce, codeNoScript, codeNoService, codeNoPreview),
		api.has(codePagesUnknown, codeProjectExists, codeNoProject, codeNoDeployment, codeUploadToken):
		return &preview.TransientError{After: api.after, Err: err}
	}
	return err
}

// unanswered is a call without an answer: the network's, a limit's, or the caller's that went away.
func unanswered(err error) error {
	var wait interface{ RetryAfter() time.Duration }
	if errors.As(err, &wait) {
		return &preview.TransientError{After: wait.RetryAfter(), Err: err}
	}
	var sent *url.Error
	if errors.As(err, &sent) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, io.ErrUnexpectedEOF) {
		return preview.Transient(err)
	}
	return err
}

// refused is what Cloudflare says of a Worker that can't run, for its author. Where the author's configuration binds it
// to things of the account, that is any bad request: there is a code for each kind of thing that is not there.
func refused(err error, secrets []preview.Secret, bound bool) error {
	var api *apiError
	if !errors.As(err, &api) || noScript(err) {
		return err
	}
	if unbound := bound && (api.status == http.StatusBadRequest || api.status == http.StatusNotFound); !unbound && !api.has(codeParse, codeInvalid, codeTooLarge, codeVarTooLarge, codeTooManyVars, codeNoHandlers) {
		return err
	}
	invalid := &preview.InvalidError{What: "Cloudflare refuses the Worker"}
	for _, one := range api.errors {
		invalid.Problems = append(invalid.Problems, preview.Problem{
			Message: clip(redact(one.Message, secrets)),
			Hint:    fmt.Sprintf("This is Cloudflare's error %d; its documentation lists them under the errors of Workers.", one.Code),
		})
	}
	return invalid
}

// redact takes secrets out of what a Worker may have printed while it started.
func redact(text string, secrets []preview.Secret) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret.Reveal(), "***")
		}
	}
	return text
}

func clip(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
