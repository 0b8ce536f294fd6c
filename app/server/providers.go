package server

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/flaresmith/flaresmith/app/config"
	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/npm"
	"github.com/flaresmith/flaresmith/app/outbound"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/provider/cloudflare"
	"github.com/flaresmith/flaresmith/app/provider/collection"
	"github.com/flaresmith/flaresmith/app/provider/neon"
	"github.com/flaresmith/flaresmith/app/provider/postgres"
	"github.com/flaresmith/flaresmith/app/provider/postman"
	"github.com/flaresmith/flaresmith/app/provider/workerd"
	"github.com/flaresmith/flaresmith/app/reconcile"
)

// Names of the providers, as a repository's configuration picks them.
const (
	onPostgres   = "postgres"
	onWorkerd    = "workerd"
	onCollection = "collection"
	onNeon       = "neon"
	onCloudflare = "cloudflare"
	onPostman    = "postman"
)

// set is the providers of one row of the operator's table, and what their calls go over.
type set struct {
	reconcile.Set
	// core has what long-lived environments use instead; empty: the same.
	core  reconcile.Set
	calls []account
}

func emptySet() set {
	return set{Set: reconcile.Set{Kinds: map[preview.Kind]reconcile.Provider{}, Places: map[preview.Kind]string{}}}
}

// of is what environments of a kind use.
func (s set) of(kind preview.EnvironmentKind) reconcile.Set {
	if !kind.Core() {
		return s.Set
	}
	core := reconcile.Set{Kinds: maps.Clone(s.Kinds), Offered: s.Offered, Places: maps.Clone(s.Places)}
	maps.Copy(core.Kinds, s.core.Kinds)
	maps.Copy(core.Places, s.core.Places)
	return core
}

// here reports whether a part is made on this machine.
func (s set) here(name string) bool { return slices.Contains(s.Offered, name) }

// providers opens what rows of the operator's table name, each account once.
type providers struct {
	server  *Server
	options Options

	local       map[preview.Kind]reconcile.Provider // made when first asked for
	collections reconcile.Provider
	neon        map[config.Neon]*neon.Branches
	cloudflare  map[config.Cloudflare]*cloudflare.Workers
	postman     map[config.Postman]*postman.Provider
	calls       map[string]*outbound.Transport // by provider and API
}

func newProviders(s *Server, o Options) *providers {
	return &providers{server: s, options: o, neon: map[config.Neon]*neon.Branches{}, cloudflare: map[config.Cloudflare]*cloudflare.Workers{},
		postman: map[config.Postman]*postman.Provider{}, calls: map[string]*outbound.Transport{}}
}

// set is that of some accounts; what they leave out is on this machine. The configuration was checked: databases and Workers are
// at the same place.
func (p *providers) set(ctx context.Context, c config.Clouds) (set, error) {
	made := emptySet()
	var err error
	if c.Neon.Used() {
		err = p.addClouds(&made, c)
	} else {
		err = p.addLocal(ctx, &made)
	}
	if err != nil {
		return set{}, err
	}
	if c.Postman.Used() {
		return made, p.addPostman(&made, c.Postman)
	}
	return made, p.addCollections(&made)
}

func (p *providers) addClouds(to *set, c config.Clouds) error {
	calls := p.callsTo(onNeon, c.Neon.APIURL, c.Neon.APIKey)
	branches := p.neon[c.Neon]
	if branches == nil {
		var err error
		longLived, production := p.server.config.LongLivedAtNeon(c.Neon)
		branches, err = neon.New(neon.Config{APIURL: c.Neon.APIURL, APIKey: c.Neon.APIKey, ProjectID: c.Neon.ProjectID, Database: c.Neon.Database,
			Forbidden: longLived, Production: production, Core: c.Neon.Branches.Core(),
			Migrations: neon.Migrations{Timeout: p.server.config.MigrationTimeout},
			Roots:      p.options.StandIns.NeonRoots, Transport: calls, Logger: p.server.logger})
		if err != nil {
			return err
		}
		p.neon[c.Neon] = branches
	}
	to.calls, to.Offered = append(to.calls, calls), append(to.Offered, onNeon)
	to.add(onNeon+"/"+c.Neon.ProjectID, preview.KindDatabase, branches)
	to.add(onNeon+"/"+c.Neon.ProjectID, preview.KindSchema, branches.Schema())

	calls = p.callsTo(onCloudflare, c.Cloudflare.APIURL, c.Cloudflare.APIToken)
	workers, err := p.workers(c.Cloudflare, calls)
	if err != nil {
		return err
	}
	to.calls, to.Offered = append(to.calls, calls), append(to.Offered, onCloudflare)
	to.add(workersPlace(c.Cloudflare), preview.KindWorker, workers)
	if cloudflare.Driver(c.Cloudflare.Driver) != cloudflare.DriverPreviews {
		return nil
	}
	// Cloudflare drops previews that are seldom deployed, and can't roll them back: what lasts is a script, at the place of scripts, where
	// no change to that driver moves it.
	lasting := c.Cloudflare
	lasting.Driver, lasting.ParentWorker = string(cloudflare.DriverScripts), ""
	workers, err = p.workers(lasting, calls)
	to.core = reconcile.Set{Kinds: map[preview.Kind]reconcile.Provider{preview.KindWorker: workers}, Places: map[preview.Kind]string{preview.KindWorker: workersPlace(lasting)}}
	return err
}

// workers opens an account at Cloudflare once.
func (p *providers) workers(c config.Cloudflare, calls account) (*cloudflare.Workers, error) {
	if workers := p.cloudflare[c]; workers != nil {
		return workers, nil
	}
	workers, err := cloudflare.New(cloudflare.Config{APIURL: c.APIURL, Token: c.APIToken, AccountID: c.AccountID, Driver: cloudflare.Driver(c.Driver), ParentWorker: c.ParentWorker,
		HostsURL: p.options.StandIns.WorkersURL, Reach: p.options.StandIns.Reach, Transport: calls, Logger: p.server.logger})
	if err != nil {
		return nil, err
	}
	p.cloudflare[c] = workers
	return workers, nil
}

// workersPlace is where Workers are made at Cloudflare: drivers make different things, so that another one is another place.
func workersPlace(c config.Cloudflare) string {
	place := onCloudflare + "/" + c.AccountID
	switch driver := cloudflare.Driver(c.Driver); driver {
	case "", cloudflare.DriverScripts:
	case cloudflare.DriverPreviews:
		place += "/" + c.Driver + "/" + cmp.Or(c.ParentWorker, cloudflare.DefaultParentWorker)
	default:
		place += "/" + c.Driver
	}
	return place
}

func (p *providers) addPostman(to *set, c config.Postman) error {
	calls := p.callsTo(onPostman, c.APIURL, c.APIKey)
	collections := p.postman[c]
	if collections == nil {
		var err error
		collections, err = postman.New(postman.Config{APIURL: c.APIURL, APIKey: c.APIKey, WorkspaceID: c.WorkspaceID, Transport: calls, Logger: p.server.logger})
		if err != nil {
			return err
		}
		p.postman[c] = collections
	}
	to.calls, to.Offered = append(to.calls, calls), append(to.Offered, onPostman)
	to.add(onPostman+"/"+c.WorkspaceID, preview.KindCollection, collections)
	return nil
}

// add makes the provider of a kind at a place part of the set.
func (s *set) add(place string, kind preview.Kind, provider reconcile.Provider) {
	s.Kinds[kind], s.Places[kind] = provider, place
}

// callsTo is what calls to a cloud go over: whoever has the same key has the same breaker and the same budget. The
// account's name is shown, so it is not the key but a short hash of it.
func (p *providers) callsTo(provider, api string, key preview.Secret) account {
	const shown = 4 // bytes
	sum := sha256.Sum256([]byte(key.Reveal()))
	calls := account{name: hex.EncodeToString(sum[:shown]), transport: p.calls[provider+" "+api]}
	if calls.transport == nil {
		policy := cloudPolicies()[provider]
		if p.options.StandIns.Calls != nil {
			p.options.StandIns.Calls(&policy)
		}
		calls.transport = outbound.New(policy, http.DefaultTransport, outbound.Options{Observer: p.server.metrics, Logger: p.server.logger, Shared: p.server.shared()})
		p.calls[provider+" "+api] = calls.transport
	}
	return calls
}

// addLocal adds databases and Workers on this machine.
func (p *providers) addLocal(ctx context.Context, to *set) error {
	if p.local == nil {
		var err error
		if p.local, err = p.openLocal(ctx); err != nil {
			return err
		}
	}
	to.Offered = append(to.Offered, onPostgres, onWorkerd)
	for kind, provider := range p.local {
		place := onPostgres
		if kind == preview.KindWorker {
			place = onWorkerd
		}
		to.add(place, kind, provider)
	}
	return nil
}

func (p *providers) openLocal(ctx context.Context) (map[preview.Kind]reconcile.Provider, error) {
	s, c := p.server, p.server.config
	var err error
	if s.branches, err = postgres.New(ctx, postgres.Config{AdminURL: c.BranchDatabaseURL,
		MigrationTimeout: c.MigrationTimeout, Limits: postgres.Limits{GrowthMB: c.DatabaseGrowthMB}, Logger: s.logger}); err != nil {
		return nil, atDatabase(branchVariable(c), err)
	}
	packages, err := npm.NewClient(npm.Config{CacheDir: p.options.PackageCache})
	if err != nil {
		return nil, err
	}
	tools := embedded.Tools{Client: packages, CacheDir: filepath.Join(c.DataDir, "tools"), WorkerdPath: c.WorkerdPath, Progress: p.options.Progress}
	binary, err := tools.Workerd(ctx)
	if err != nil {
		return nil, fmt.Errorf("FLARESMITH_WORKERD: %w", err)
	}
	public, port, err := s.previewURL()
	if err != nil {
		return nil, err
	}
	s.domain = public.Hostname()
	if s.workers, err = workerd.New(workerd.Config{Binary: binary, Dir: filepath.Join(c.DataDir, "workers"),
		Domain: s.domain, PublicScheme: public.Scheme, PublicPort: port,
		SwitchUser: canSwitchUser(), Logger: s.logger}); err != nil {
		return nil, err
	}
	return map[preview.Kind]reconcile.Provider{
		preview.KindDatabase: s.branches.Branches(),
		preview.KindSchema:   s.branches.Schema(),
		preview.KindWorker:   s.workers,
	}, nil
}

// addCollections adds files on this machine.
func (p *providers) addCollections(to *set) error {
	s := p.server
	if p.collections == nil {
		dir := filepath.Join(s.config.DataDir, "collections")
		files, err := collection.New(collection.Config{Dir: dir, Logger: s.logger})
		if err != nil {
			return err
		}
		if s.collections, err = os.OpenRoot(dir); err != nil {
			return fmt.Errorf("collections folder: %w", err)
		}
		p.collections = files
	}
	to.Offered = append(to.Offered, onCollection)
	to.add(onCollection, preview.KindCollection, p.collections)
	return nil
}

// StandIns is where stand-ins of outside systems differ from them, for tests and the demo. Zero: the systems themselves.
type StandIns struct {
	NeonRoots  *x509.CertPool    // who vouch for the computes' certificates
	WorkersURL string            // stands for https://workers.dev
	Reach      http.RoundTripper // to the hosts of Workers
	// Calls changes how an outside system is called; nil: nothing.
	Calls func(*outbound.Policy)
}
