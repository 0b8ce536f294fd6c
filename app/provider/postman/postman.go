package postman

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/postmanfile"
	"github.com/flaresmith/flaresmith/app/preview"
)

// Config is one workspace of an operator's.
type Config struct {
	APIURL      string // default https://api.getpostman.com
	APIKey      preview.Secret
	WorkspaceID string
	Transport   http.RoundTripper // default http.DefaultTransport
	Logger      *slog.Logger      // default: discard
}

// Provider is that of KindCollection. It is safe for concurrent use.
type Provider struct {
	api       *client
	workspace string

	mu    sync.Mutex
	noted map[string]noted        // by name: what an Observe has just seen
	uids  map[string]string       // by name: the environment that was there at last
	owner map[string]preview.Mark // by uid: whose a thing of ours is, so that List need not ask again
}

// New checks the configuration and calls nobody.
func New(c Config) (*Provider, error) {
	if c.APIKey == "" || c.WorkspaceID == "" {
		return nil, errors.New("postman: the API key and the workspace's id must be given")
	}
	address := strings.TrimRight(c.APIURL, "/")
	if address == "" {
		address = defaultAPI
	}
	if u, err := url.Parse(address); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, errors.New("postman: the API's URL must be an absolute http or https address without a user")
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Provider{
		api:       &client{http: &http.Client{Transport: c.Transport, CheckRedirect: outbound.Stay}, base: address, key: c.APIKey, log: c.Logger},
		workspace: c.WorkspaceID, noted: map[string]noted{}, uids: map[string]string{}, owner: map[string]preview.Mark{},
	}, nil
}

// Observe implements the reconciler's Provider. The digest is empty when the collection was removed by somebody, or when there
// is more than one of anything.
func (p *Provider) Observe(ctx context.Context, r preview.Resource) (preview.Observed, error) {
	if err := checkName(r); err != nil {
		return preview.Observed{}, err
	}
	s, err := p.look(ctx, r.Name)
	if err != nil {
		return preview.Observed{}, fmt.Errorf("observe %s: %w", r.Name, classify(err))
	}
	ours, foreign := s.split(r.Mark)
	observed := preview.Observed{Exists: !ours.empty() || foreign, Owned: !ours.empty()}
	if !ours.empty() && ours.whole() {
		observed.Digest, observed.Outputs = ours.environments[0].mark.Digest, outputs(r)
	}
	p.note(r.Name, s, observed.Digest != r.Digest || r.Reset)
	return observed, nil
}

// Apply implements the reconciler's Provider.
func (p *Provider) Apply(ctx context.Context, r preview.Resource, in preview.Inputs) (preview.Outputs, error) {
	if err := errors.Join(checkName(r), ctx.Err()); err != nil {
		return preview.Outputs{}, err
	}
	if err := p.apply(ctx, r, in); err != nil {
		return preview.Outputs{}, fmt.Errorf("apply %s: %w", r.Name, classify(err))
	}
	return outputs(r), nil
}

func (p *Provider) apply(ctx context.Context, r preview.Resource, in preview.Inputs) error {
	set, err := postmanfile.Render(ctx, r, in)
	if err != nil {
		return err
	}
	values := withoutMarkKey(set.Variables)
	body, err := build(r, in, set.Collections)
	if err != nil {
		return err
	}
	s, err := p.justSeen(ctx, r.Name)
	if err != nil {
		return err
	}
	ours, foreign := s.split(r.Mark)
	if ours.empty() && foreign {
		return preview.ErrConflict
	}
	if !ours.empty() && ours.whole() && !r.Reset && ours.environments[0].upToDate(r.Digest, values) {
		return nil
	}
	return p.write(ctx, r, ours, body, values)
}

// write makes what is ours what is wanted: the collection, then the environment, which says so.
func (p *Provider) write(ctx context.Context, r preview.Resource, ours state, body object, values []postmanfile.Variable) error {
	for i, e := range ours.environments {
		if i > 0 { // of a write whose answer did not come
			if err := p.remove(ctx, "/environments/", e.uid); err != nil {
				return err
			}
		} else if e.mark.Digest != "" {
			m := e.mark
			m.Digest = ""
			if err := p.api.putEnvironment(ctx, e.uid, r.Name, marked(e.values, m)); err != nil {
				return vanished(err)
			}
		}
	}
	uid, err := p.writeCollection(ctx, r, ours, body)
	if err != nil {
		return err
	}
	all := marked(values, mark{Mark: r.Mark, Digest: r.Digest, Collection: uid})
	if len(ours.environments) == 0 {
		uid, err := p.api.createEnvironment(ctx, p.workspace, r.Name, all)
		if err == nil {
			p.rememberUID(r.Name, uid)
		}
		return err
	}
	return vanished(p.api.putEnvironment(ctx, ours.environments[0].uid, r.Name, all))
}

// writeCollection leaves one collection with that content, or none without any, and gives its uid.
func (p *Provider) writeCollection(ctx context.Context, r preview.Resource, ours state, body object) (string, error) {
	keep := ours.chosen()
	for _, c := range ours.collections {
		if c.uid == keep && body != nil {
			continue
		}
		if err := p.remove(ctx, "/collections/", c.uid); err != nil {
			return "", err
		}
	}
	if body == nil {
		return "", nil
	}
	if keep == "" {
		uid, err := p.api.createCollection(ctx, p.workspace, body)
		return uid, unwelcome(err)
	}
	there, err := p.api.collection(ctx, keep)
	if err != nil {
		return "", vanished(err)
	}
	keepIDs(body, there)
	return keep, unwelcome(vanished(p.api.putCollection(ctx, keep, body)))
}

// unwelcome makes an answer that refuses a collection's content the user's to fix.
func unwelcome(err error) error {
	var api *apiError
	if errors.As(err, &api) && (api.Name == "malformedRequestError" || api.Status == http.StatusRequestEntityTooLarge) {
		return preview.Invalid(invalid, preview.Problem{Message: "Postman does not take the collection: " + api.Error() + "."})
	}
	return err
}

// vanished makes a thing that went since it was seen a reason to look again.
func vanished(err error) error {
	if status(err) == http.StatusNotFound {
		return preview.Transient(err)
	}
	return err
}

// Delete implements the reconciler's Provider.
func (p *Provider) Delete(ctx context.Context, r preview.Resource) error {
	if err := checkName(r); err != nil {
		return err
	}
	if err := p.delete(ctx, r); err != nil {
		return fmt.Errorf("delete %s: %w", r.Name, classify(err))
	}
	return nil
}

// delete removes what is ours and looks whether it is gone: an answer may be a proxy's. The environments go last, because
// they are what is most easily found again.
func (p *Provider) delete(ctx context.Context, r preview.Resource) error {
	s, err := p.look(ctx, r.Name)
	if err != nil {
		return err
	}
	p.note(r.Name, s, false)
	ours, foreign := s.split(r.Mark)
	if ours.empty() {
		if foreign {
			return preview.ErrConflict
		}
		return nil
	}
	for _, c := range ours.collections {
		if err := p.remove(ctx, "/collections/", c.uid); err != nil {
			return err
		}
	}
	for _, e := range ours.environments {
		if err := p.remove(ctx, "/environments/", e.uid); err != nil {
			return err
		}
	}
	p.rememberUID(r.Name, "")
	if s, err = p.look(ctx, r.Name); err != nil {
		return err
	}
	if ours, _ := s.split(r.Mark); !ours.empty() {
		return preview.Transient(errors.New("it is still there after its deletion"))
	}
	return nil
}

func (p *Provider) remove(ctx context.Context, kind, uid string) error {
	return p.api.remove(ctx, kind+url.PathEscape(uid))
}

// List implements the reconciler's Provider.
func (p *Provider) List(ctx context.Context) ([]preview.Found, error) {
	found, err := p.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list: %w", classify(err))
	}
	return found, nil
}

// list asks for the marks that are not known yet. A collection that an environment of ours calls its own needs no asking.
func (p *Provider) list(ctx context.Context) ([]preview.Found, error) {
	collections, environments, err := p.api.workspace(ctx, p.workspace)
	if err != nil {
		return nil, err
	}
	known := p.owners()
	var all []preview.Found
	there := map[string]preview.Mark{}
	add := func(ref reference, read func(context.Context, string) (mark, error)) error {
		if !preview.NamePattern.MatchString(ref.Name) {
			return nil
		}
		if known[ref.UID].Project == "" { // what is not ours may become ours
			m, err := read(ctx, ref.UID)
			if err != nil && status(err) != http.StatusNotFound {
				return err
			}
			known[ref.UID] = m.Mark
			if m.Collection != "" {
				known[m.Collection] = m.Mark
			}
		}
		there[ref.UID] = known[ref.UID]
		f := preview.Found{Kind: preview.KindCollection, Name: ref.Name, Mark: known[ref.UID]}
		if f.Mark.Project != "" && !slices.Contains(all, f) {
			all = append(all, f)
		}
		return nil
	}
	for _, ref := range environments {
		if err := add(ref, p.environmentMark); err != nil {
			return nil, err
		}
	}
	for _, ref := range collections {
		if err := add(ref, p.collectionMark); err != nil {
			return nil, err
		}
	}
	p.remember(there)
	slices.SortFunc(all, func(a, b preview.Found) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (p *Provider) environmentMark(ctx context.Context, uid string) (mark, error) {
	values, err := p.api.environment(ctx, uid)
	_, m := markOf(values)
	return m, err
}

func (p *Provider) collectionMark(ctx context.Context, uid string) (mark, error) {
	body, err := p.api.collection(ctx, uid)
	return markOfCollection(body), err
}

// outputs names what there is. Postman has no files to offer, so the name stands for both.
func outputs(r preview.Resource) preview.Outputs { return preview.Outputs{Files: []string{r.Name}} }

func checkName(r preview.Resource) error {
	if !preview.NamePattern.MatchString(r.Name) {
		return fmt.Errorf("%.80q is no name of an environment", r.Name)
	}
	return nil
}
