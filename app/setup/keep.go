package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/secretbox"
	"github.com/flaresmith/flaresmith/app/store"
)

// App is what GitHub gives for a manifest.
type App struct {
	ID                                      int64
	Slug, PageURL, ClientID                 string // PageURL is not kept
	PrivateKey, WebhookSecret, ClientSecret preview.Secret
}

type apps interface {
	GitHubApp(ctx context.Context) (store.GitHubApp, error)
	KeepGitHubApp(ctx context.Context, a store.GitHubApp) error
	ResealGitHubApp(ctx context.Context, from, to []byte) error
}

// Keeper keeps the App in the database, its secrets sealed.
type Keeper struct {
	Store apps
	Box   *secretbox.Box
}

// secrets is what is sealed.
type secrets struct {
	PrivateKey    string `json:"private_key"`
	WebhookSecret string `json:"webhook_secret"`
	ClientSecret  string `json:"client_secret"`
}

func purpose(appID int64) string { return fmt.Sprintf("github_app/%d/sealed", appID) }

// App returns the App that is kept, or preview.ErrNotFound. One that no master key opens is another error.
func (k *Keeper) App(ctx context.Context) (App, error) {
	kept, err := k.Store.GitHubApp(ctx)
	if err != nil {
		return App{}, err
	}
	text, err := k.Box.Open(kept.Sealed, purpose(kept.ID))
	if err != nil {
		return App{}, k.unopened(kept, err)
	}
	var s secrets
	if err := json.Unmarshal(text, &s); err != nil {
		return App{}, errors.New("secrets of the GitHub App can't be read") // without them
	}
	return App{ID: kept.ID, Slug: kept.Slug, ClientID: kept.ClientID, PrivateKey: preview.Secret(s.PrivateKey),
		WebhookSecret: preview.Secret(s.WebhookSecret), ClientSecret: preview.Secret(s.ClientSecret)}, nil
}

// unopened is why an App's secrets can't be opened, and what to do.
func (k *Keeper) unopened(kept store.GitHubApp, why error) error {
	return fmt.Errorf("secrets of the GitHub App %s, sealed with master key %s, while the current one is %s: %w: put the old key behind the new one in MASTER_ENC_KEY, or give the App by GITHUB_APP_ID and its siblings",
		kept.Slug, secretbox.KeyIDOf(kept.Sealed), k.Box.KeyID(), why)
}

// Keep seals and stores an App. Another one that is there already is preview.ErrConflict.
func (k *Keeper) Keep(ctx context.Context, a App) error {
	text, err := json.Marshal(secrets{a.PrivateKey.Reveal(), a.WebhookSecret.Reveal(), a.ClientSecret.Reveal()}) // #nosec G117 -- to be sealed
	if err != nil {
		return fmt.Errorf("secrets of the GitHub App: %w", err)
	}
	sealed, err := k.Box.Seal(text, purpose(a.ID))
	if err != nil {
		return err
	}
	return k.Store.KeepGitHubApp(ctx, store.GitHubApp{ID: a.ID, Slug: a.Slug, ClientID: a.ClientID, Sealed: sealed})
}

// Rotate seals what is kept with the current master key and reports whether it was another one. Nothing kept is no error.
func (k *Keeper) Rotate(ctx context.Context) (changed bool, err error) {
	kept, err := k.Store.GitHubApp(ctx)
	switch {
	case errors.Is(err, preview.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	resealed, changed, err := k.Box.Rewrap(kept.Sealed, purpose(kept.ID))
	switch {
	case err != nil:
		return false, k.unopened(kept, err)
	case !changed:
		return false, nil
	}
	return true, k.Store.ResealGitHubApp(ctx, kept.Sealed, resealed)
}
