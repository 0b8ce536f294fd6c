package github

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

// Wanted is how the App should be set up at GitHub.
type Wanted struct {
	Permissions map[string]string // by name as in a manifest: "read" or "write"
	Optional    map[string]string // what the App may write besides, and what does not work without
	Events      []string
	HookURL     string
	Accounts    []string // that should have installed it
}

// Diagnose reads how the App is set up, and writes nothing.
func (a *App) Diagnose(ctx context.Context, want Wanted) []preview.Finding {
	const what = "GitHub App"
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	client := a.appClient()
	app, err := readSelf(ctx, client)
	if err != nil {
		return []preview.Finding{preview.Amiss(what, said(err), "check GITHUB_APP_ID and the private key, which belong together, and GITHUB_API_URL")}
	}
	findings := []preview.Finding{preview.Fine(what, fmt.Sprintf("is %s, id %d", app.Slug, app.ID))}
	findings = append(findings, diagnosePermissions(app, want.Permissions, want.Optional), diagnoseEvents(app, want.Events), diagnoseHook(ctx, client, app, want.HookURL))
	return append(findings, diagnoseInstallations(ctx, client, app, want.Accounts)...)
}

// self is what GitHub says of the App. The SDK's type does not know every permission.
type self struct {
	ID          int64             `json:"id"`
	Slug        string            `json:"slug"`
	HTMLURL     string            `json:"html_url"`
	Permissions map[string]string `json:"permissions"`
	Events      []string          `json:"events"`
}

func readSelf(ctx context.Context, client *gh.Client) (self, error) {
	request, err := client.NewRequest(http.MethodGet, "app", nil)
	if err != nil {
		return self{}, err
	}
	var s self
	_, err = client.Do(ctx, request, &s)
	return s, err
}

func settings(s self, page string) string {
	return "the App's settings at GitHub, " + page + " (its public page: " + s.HTMLURL + ")"
}

func diagnosePermissions(s self, want, optional map[string]string) preview.Finding {
	const what = "GitHub permissions"
	have := s.Permissions
	var lacks, more []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if level := have[name]; level == "" || want[name] == "write" && level == "read" {
			lacks = append(lacks, name+": "+want[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if optional[name] == "" && (want[name] == "" || want[name] == "read" && have[name] != "read") {
			more = append(more, name+": "+have[name])
		}
	}
	without := ""
	for _, name := range slices.Sorted(maps.Keys(optional)) {
		if have[name] != "write" {
			without += "; without " + name + ": write " + optional[name]
		}
	}
	switch {
	case len(lacks) > 0:
		return preview.Amiss(what, "lacks "+strings.Join(lacks, ", "), "grant them on "+settings(s, "Permissions & events")+", then accept them at each installation")
	case len(more) > 0:
		return preview.Fine(what, "are all there; not needed: "+strings.Join(more, ", ")+without)
	}
	return preview.Fine(what, "are those that are needed"+without)
}

func diagnoseEvents(s self, want []string) preview.Finding {
	const what = "GitHub events"
	var lacks []string
	for _, event := range want {
		if !slices.Contains(s.Events, event) {
			lacks = append(lacks, event)
		}
	}
	if len(lacks) > 0 {
		return preview.Amiss(what, "lacks "+strings.Join(lacks, ", "), "subscribe to them on "+settings(s, "Permissions & events"))
	}
	return preview.Fine(what, "are subscribed to")
}

func diagnoseHook(ctx context.Context, client *gh.Client, s self, want string) preview.Finding {
	const what = "GitHub webhook"
	hook, _, err := client.Apps.GetHookConfig(ctx)
	switch {
	case err != nil:
		return preview.Amiss(what, said(err), "see "+settings(s, "General"))
	case hook.GetURL() != want:
		return preview.Amiss(what, fmt.Sprintf("delivers to %q, not to %s", hook.GetURL(), want), "set it, or FLARESMITH_URL, on "+settings(s, "General"))
	case hook.GetContentType() != "json":
		return preview.Amiss(what, "delivers forms", "set the content type application/json on "+settings(s, "General"))
	case hook.GetSecret() == "":
		return preview.Amiss(what, "has no secret", "set the one of GITHUB_WEBHOOK_SECRET on "+settings(s, "General"))
	}
	return preview.Fine(what, "delivers to "+want)
}

func diagnoseInstallations(ctx context.Context, client *gh.Client, s self, accounts []string) []preview.Finding {
	installed := map[string]*gh.Installation{}
	options := &gh.ListOptions{PerPage: 100}
	for {
		list, response, err := client.Apps.ListInstallations(ctx, options)
		if err != nil {
			return []preview.Finding{preview.Amiss("GitHub installations", said(err), "try again")}
		}
		for _, one := range list {
			installed[strings.ToLower(one.GetAccount().GetLogin())] = one
		}
		if response.NextPage == 0 {
			break
		}
		options.Page = response.NextPage
	}
	var findings []preview.Finding
	for _, account := range accounts {
		what := "Installation at " + account
		one := installed[strings.ToLower(account)]
		switch {
		case one == nil:
			findings = append(findings, preview.Amiss(what, "is not there", "install the App: "+strings.TrimRight(s.HTMLURL, "/")+"/installations/new"))
		case !one.GetSuspendedAt().IsZero():
			findings = append(findings, preview.Amiss(what, "is suspended", "an owner of the account ends that on its page of installed GitHub Apps"))
		default:
			reach := "all repositories"
			if one.GetRepositorySelection() == "selected" {
				reach = "selected repositories"
			}
			findings = append(findings, preview.Fine(what, fmt.Sprintf("reaches %s, id %d", reach, one.GetID())))
		}
	}
	return findings
}

// said is what GitHub answered, in short.
func said(err error) string {
	var answer *gh.ErrorResponse
	if errors.As(err, &answer) && answer.Response != nil {
		return fmt.Sprintf("GitHub answers %d: %s", answer.Response.StatusCode, answer.Message)
	}
	return classify(err, "GitHub").Error()
}
