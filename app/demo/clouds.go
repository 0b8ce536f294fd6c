package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/embedded"
	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/server"
	"github.com/flaresmith/flaresmith/app/sim/cloudflare"
	"github.com/flaresmith/flaresmith/app/sim/neon"
	"github.com/flaresmith/flaresmith/app/sim/postman"
)

// What the clouds take, about as people measure it from Europe.
const (
	neonCall, neonBranch, neonCompute = 120 * time.Millisecond, time.Second, 400 * time.Millisecond
	cloudflareCall, cloudflareHost    = 250 * time.Millisecond, time.Second
	postmanCall                       = 200 * time.Millisecond
)

// clouds are stand-ins of Neon, Cloudflare and Postman, which let in whoever has the key.
type clouds struct {
	key        string
	driver     string // how Workers run
	neon       *neon.Server
	cloudflare *cloudflare.Server
	postman    *postman.Server
}

// startClouds starts the stand-ins and fills the database that previews branch from. What is started is in the answer, even with
// an error.
func startClouds(ctx context.Context, dir, driver string, tools embedded.Tools) (c *clouds, err error) {
	c = &clouds{key: rand.Text(), driver: driver}
	binaries, err := tools.Postgres(ctx)
	if err != nil {
		return c, err
	}
	workerd, err := tools.Workerd(ctx)
	if err != nil {
		return c, err
	}
	address, err := ownAddress(ctx)
	if err != nil {
		return c, err
	}
	folder := filepath.Join(dir, "neon")
	if err := os.Mkdir(folder, 0o711); err != nil {
		return c, fmt.Errorf("folder of Neon's stand-in: %w", err)
	}
	if c.neon, err = neon.New(ctx, neon.Config{Dir: folder, BinDir: binaries, APIKey: preview.Secret(c.key), ByAddress: address,
		Latency: neon.Latency{Call: neonCall, Branch: neonBranch, Compute: neonCompute}}); err != nil {
		return c, err
	}
	if c.cloudflare, err = cloudflare.New(cloudflare.Config{Workerd: workerd, Token: preview.Secret(c.key), Subdomain: owner,
		Reach: []string{address.String()}, Trust: c.neon.CertificatePEM(),
		Latency: cloudflare.Latency{Call: cloudflareCall, Host: cloudflareHost}}); err != nil {
		return c, err
	}
	if c.postman, err = postman.New(postman.Config{APIKey: preview.Secret(c.key), Latency: postmanCall}); err != nil {
		return c, err
	}
	const free = "127.0.0.1:0"
	if err := errors.Join(c.neon.Start(ctx, free), c.cloudflare.Start(ctx, free), c.postman.Start(ctx, free)); err != nil {
		return c, err
	}
	return c, c.fill(ctx)
}

// ownAddress is a loopback address that nothing else is at, where the system has more than one: Workers may connect to it.
func ownAddress(ctx context.Context) (net.IP, error) {
	if runtime.GOOS != "linux" {
		return net.IPv4(127, 0, 0, 1), nil
	}
	address := net.IPv4(127, 88, 1, 1)
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort(address.String(), "0"))
	if err != nil {
		return nil, fmt.Errorf("loopback address of Neon's stand-in: %w", err)
	}
	return address, listener.Close()
}

func (c *clouds) fill(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.parent().Reveal())
	if err != nil {
		return errors.New("connect to the parent branch") // the cause may quote the URL
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, ParentSQL()); err != nil {
		return fmt.Errorf("fill the parent branch: %w", err)
	}
	return nil
}

func (c *clouds) variables() map[string]string {
	return map[string]string{
		"NEON_API_KEY": c.key, "NEON_API_URL": c.neon.URL(), "NEON_PROJECT_ID": c.neon.ProjectID(), "NEON_BRANCH_MAIN": "main",
		"CLOUDFLARE_API_TOKEN": c.key, "CLOUDFLARE_API_URL": c.cloudflare.URL(), "CLOUDFLARE_ACCOUNT_ID": c.cloudflare.AccountID(),
		"CLOUDFLARE_DRIVER": c.driver,
		"POSTMAN_API_KEY":   c.key, "POSTMAN_API_URL": c.postman.URL(), "POSTMAN_WORKSPACE_ID": c.postman.Team(),
	}
}

// standIns lead to Workers, whose hosts no resolver but a browser's knows.
func (c *clouds) standIns() server.StandIns {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, c.cloudflare.Addr())
	}
	return server.StandIns{NeonRoots: c.neon.Certificates(), WorkersURL: c.cloudflare.WorkersURL(), Reach: &http.Transport{DialContext: dial}}
}

func (c *clouds) introduce() string {
	return fmt.Sprintf("Neon, Cloudflare (driver %s) and Postman are stand-ins that take about as long; Neon's branch \"main\" is the parent of every preview", c.driver)
}

func (c *clouds) address() string        { return c.cloudflare.Addr() }
func (c *clouds) parent() preview.Secret { return preview.Secret(c.neon.RootURI()) }
func (c *clouds) database(string) string { return "neondb" }
func (c *clouds) made() []string         { return []string{"branch", "Worker", "collection", "environment"} }
func (c *clouds) collected() []string    { return []string{"collection", "environment"} }

func (c *clouds) found(context.Context) ([]string, error) {
	collections, environments := c.postman.Names(c.postman.Team())
	elsewhere, more := c.postman.Names(c.postman.Personal())
	var found []string
	workers := append(c.cloudflare.Names(), c.cloudflare.PagesNames()...)
	for _, of := range c.cloudflare.Names() {
		workers = append(workers, c.cloudflare.Previews(of)...)
	}
	for _, kind := range []struct {
		word  string
		names []string
	}{
		{"branch", c.neon.Names()}, {"Worker", workers},
		{"collection", append(collections, elsewhere...)}, {"environment", append(environments, more...)},
	} {
		for _, name := range kind.names {
			if strings.HasPrefix(name, "preview-") {
				found = append(found, kind.word+" "+name)
			}
		}
	}
	return found, nil
}

// stop ends what was started: Workers first, which are connected to databases.
func (c *clouds) stop(context.Context) error {
	var errs []error
	if c.cloudflare != nil {
		errs = append(errs, c.cloudflare.Close())
	}
	if c.neon != nil {
		errs = append(errs, c.neon.Close())
	}
	if c.postman != nil {
		errs = append(errs, c.postman.Close())
	}
	return errors.Join(errs...)
}
