package reconcile

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// A Worker is asked, before it counts as deployed, which environment it is and what its database says whose that is. The
// module that answers is put in front of it when it is bundled (app/build/identity.js); the question is signed, so that
// nobody else learns anything, and bound to one deployment. What the pull request brought runs in the same
// process and can answer anything: this finds mistakes, not malice.
const (
	identityPath     = "/.well-known/flaresmith/identity"
	identityVariable = "FLARESMITH_IDENTITY"
	identityTries    = 20 // an earlier deployment may answer for some seconds
	identityPause    = time.Second
	// The code that answers is a contributor's in part: neither one question nor all of them hold a pass for long.
	identityAnswer  = 10 * time.Second
	identityTimeout = time.Minute
)

// told is what a deployment knows of itself.
type told struct {
	Environment string `json:"environment"`
	Deployment  string `json:"deployment"`
	Key         string `json:"key"`                // public, base64
	Database    string `json:"database,omitempty"` // the binding to ask; empty: none, or its database carries no mark
}

// said is a Worker's answer.
type said struct {
	Environment string `json:"environment"`
	Deployment  string `json:"deployment"`
	Nonce       string `json:"nonce"`
	Failure     string `json:"failure"` // an SQLSTATE, or "unreachable"
	Database    struct {
		Name    string `json:"name"`
		Comment string `json:"comment"`
	} `json:"database"`
}

// identified gives a Worker's inputs what it is told of itself, and the question to ask it. Static files alone answer nothing.
func (r *Reconciler) identified(worker preview.Resource, in preview.Inputs) (preview.Inputs, error) {
	if worker.Kind != preview.KindWorker || in.Bundle == nil || len(in.Bundle.Modules) == 0 {
		return in, nil
	}
	public, ok := r.identity.Public().(ed25519.PublicKey)
	if !ok {
		return in, errors.New("the identity key is none of Ed25519")
	}
	about := told{Environment: worker.Mark.Environment, Key: base64.StdEncoding.EncodeToString(public)}
	if in.Outputs.DatabaseMarked {
		about.Database = in.Bundle.DatabaseBinding
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{in.Bundle.Digest, about.Environment, about.Key, about.Database}, "\n")))
	about.Deployment = hex.EncodeToString(sum[:])
	text, err := json.Marshal(about)
	if err != nil {
		return in, fmt.Errorf("identity: %w", err)
	}
	bundle := *in.Bundle
	bundle.Digest = about.Deployment
	bundle.JSONVars = maps.Clone(bundle.JSONVars)
	delete(bundle.JSONVars, identityVariable)
	if bundle.Vars = maps.Clone(bundle.Vars); bundle.Vars == nil {
		bundle.Vars = map[string]string{}
	}
	bundle.Vars[identityVariable] = string(text)
	in.Bundle = &bundle
	in.Verify = func(ctx context.Context, ask preview.Ask) error { return r.verify(ctx, ask, worker.Mark, about) }
	return in, nil
}

// verify asks until this very deployment answers, and judges the answer.
func (r *Reconciler) verify(ctx context.Context, ask preview.Ask, mark preview.Mark, about told) error {
	nonce := rand.Text()
	signature := ed25519.Sign(r.identity, []byte(about.Deployment+"\n"+nonce))
	headers := map[string]string{"Flaresmith-Nonce": nonce, "Flaresmith-Signature": base64.StdEncoding.EncodeToString(signature)}
	within, cancel := context.WithTimeout(ctx, identityTimeout)
	defer cancel()
	var last error
	mute := false // the last question was not answered in time
	for try := range identityTries {
		if try > 0 {
			select {
			case <-time.After(identityPause):
			case <-within.Done():
			}
		}
		if ctx.Err() != nil {
			return preview.Transient(errors.Join(last, ctx.Err()))
		}
		if within.Err() != nil {
			break
		}
		asking, answered := context.WithTimeout(within, identityAnswer)
		status, body, err := ask(asking, identityPath, headers)
		mute = asking.Err() != nil
		answered()
		var answer said
		switch {
		case err != nil:
			last = fmt.Errorf("ask the Worker who it is: %w", err)
		case status != http.StatusOK || json.Unmarshal(body, &answer) != nil || answer.Nonce != nonce:
			last = errors.New("the Worker does not say who it is")
		case answer.Deployment != about.Deployment:
			mute, last = false, errors.New("an earlier deployment of the Worker still answers")
		default:
			return judge(answer, mark, about)
		}
	}
	if mute && ctx.Err() == nil {
		return preview.Invalid("the Worker does not say who it is", preview.Problem{Message: "the Worker was asked for a minute which environment it is, and answers nothing",
			Hint: "It may hang at its start, or its code replaces what the module in front of it needs. Push a fix, or comment /flaresmith rebuild."})
	}
	return preview.Transient(last)
}

// judge says whether a Worker is the one that it should be.
func judge(answer said, mark preview.Mark, about told) error {
	foreign := func(format string, args ...any) error {
		return preview.Invalid("the Worker is not bound to its own database", preview.Problem{Message: fmt.Sprintf(format, args...),
			Hint: "Nothing counts as deployed. Comment /flaresmith rebuild; if it stays so, ask the operator of this Flaresmith server."})
	}
	switch class := answer.Failure[:min(2, len(answer.Failure))]; {
	case answer.Environment != mark.Environment:
		return foreign("The Worker answers for another environment.")
	case about.Database == "":
		return nil
	case class == "28" || class == "3D": // invalid authorization, invalid catalog name
		return foreign("The database does not accept the Worker's connection string (SQLSTATE %.5q): it is out of date.", answer.Failure)
	case answer.Failure != "":
		return preview.Transient(fmt.Errorf("the Worker can't ask its database whose it is: %.20q", answer.Failure))
	case preview.ParseDatabaseMark(answer.Database.Comment) != mark:
		return foreign("The Worker's connection string leads to the database %.80q, which is not this environment's.", answer.Database.Name)
	}
	return nil
}
