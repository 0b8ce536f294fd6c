package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/flaresmith/flaresmith/app/sim/github"
)

const (
	pollInterval = 25 * time.Millisecond
	maxAnswer    = 1 << 20
	diffShown    = 6 // lines of the schema diff that are printed
)

// errNoRoute is returned by requests to the preview that it answers with 404.
var errNoRoute = errors.New("not found")

// push commits one of the story's commits to the pull request's branch.
func (s *story) push(name string) (err error) {
	commit, ok := s.commits[name]
	if !ok {
		return fmt.Errorf("the story has no commit %q", name)
	}
	files := map[string]string{}
	for path, content := range commit.Files {
		files[path] = string(content)
	}
	s.sha, err = s.github.CommitAs(developer, repo, branch, files, commit.Message)
	return err
}

// until polls until done says so, or ctx ends.
func (s *story) until(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited in vain: %s", what)
		case err := <-s.serverEnded:
			s.serverEnded <- err
			return fmt.Errorf("the server ended: %w", err)
		case <-tick.C:
		}
	}
}

// checkOf waits until the commit's check about the preview has completed, and wants that conclusion.
func (s *story) checkOf(ctx context.Context, sha, conclusion string) (github.CheckRun, error) {
	return s.checkNamed(ctx, checkName, sha, conclusion)
}

func (s *story) checkNamed(ctx context.Context, name, sha, conclusion string) (github.CheckRun, error) {
	var check github.CheckRun
	err := s.until(ctx, "the check "+name+" completes", func() (bool, error) {
		runs, err := s.github.CheckRuns(repo, sha)
		i := slices.IndexFunc(runs, func(r github.CheckRun) bool { return r.Name == name && r.Status == "completed" })
		if i >= 0 {
			check = runs[i]
		}
		return i >= 0, err
	})
	if err == nil && check.Conclusion != conclusion {
		err = fmt.Errorf("the check says %s: %s\n%s", check.Conclusion, check.Title, check.Summary)
	}
	return check, err
}

// previewComment waits until the one comment about the preview contains text, and returns it.
func (s *story) previewComment(ctx context.Context, text string) (string, error) {
	var body string
	err := s.until(ctx, fmt.Sprintf("the comment says %q", text), func() (bool, error) {
		comments, err := s.github.Comments(repo, s.pr)
		var ours []string
		for _, c := range comments {
			if c.User == s.github.BotLogin() && strings.Contains(c.Body, "flaresmith:preview:") {
				ours = append(ours, c.Body)
			}
		}
		if len(ours) > 1 {
			return false, fmt.Errorf("there are %d comments about one preview", len(ours))
		}
		if len(ours) == 1 && strings.Contains(strings.ToLower(ours[0]), strings.ToLower(text)) {
			body = ours[0]
		}
		return body != "", err
	})
	return body, err
}

// replyTo waits for the answer to a command.
func (s *story) replyTo(ctx context.Context, comment int64) (string, error) {
	var reply string
	marker := fmt.Sprintf("flaresmith:command:comment:%d ", comment)
	err := s.until(ctx, "the command is answered", func() (bool, error) {
		comments, err := s.github.Comments(repo, s.pr)
		for _, c := range comments {
			if c.User == s.github.BotLogin() && strings.Contains(c.Body, marker) {
				_, reply, _ = strings.Cut(c.Body, "-->\n")
			}
		}
		return reply != "", err
	})
	return strings.TrimSpace(reply), err
}

// findPreview reads where the preview is from the newest deployment.
func (s *story) findPreview(ctx context.Context) error {
	return s.until(ctx, "the deployment succeeds", func() (bool, error) {
		deployments, err := s.github.Deployments(repo)
		if err != nil || len(deployments) == 0 {
			return false, err
		}
		newest := deployments[len(deployments)-1]
		if newest.State() != "success" {
			return false, nil
		}
		s.preview = previewFacts{name: newest.Environment, url: newest.Statuses[len(newest.Statuses)-1].EnvironmentURL}
		return s.preview.url != "", nil
	})
}

// get asks the preview and decodes its JSON answer.
func (s *story) get(ctx context.Context, path string, into any) error {
	return s.ask(ctx, http.MethodGet, path, nil, into)
}

// post sends body, and decodes what the preview answers unless into is nil.
func (s *story) post(ctx context.Context, path string, body, into any) error {
	return s.ask(ctx, http.MethodPost, path, body, into)
}

// ask sends a request as a browser would, but dials the address: *.localhost resolves in browsers
// and not everywhere else.
func (s *story) ask(ctx context.Context, method, path string, body, into any) error {
	public, err := url.Parse(s.preview.url)
	if err != nil {
		return fmt.Errorf("preview URL: %w", err)
	}
	var reader io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://"+s.place.address()+"/"+path, reader)
	if err != nil {
		return err
	}
	request.Host = public.Host
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s%s: %w", method, s.preview.url, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s%s: %w", method, s.preview.url, path, err)
	}
	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s %s%s: %w", method, s.preview.url, path, errNoRoute)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s%s: %s: %s", method, s.preview.url, path, response.Status, firstLine(string(answer)))
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s%s: %w", method, s.preview.url, path, err)
	}
	return nil
}

// parentState counts, in the parent database itself, the products of that name and the public tables.
func (s *story) parentState(ctx context.Context, product string) (products, tables int, err error) {
	conn, err := pgx.Connect(ctx, s.place.parent().Reveal())
	if err != nil {
		return 0, 0, errors.New("connect to the parent database") // the cause may quote the URL
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM products WHERE name = $1),
		(SELECT count(*) FROM pg_tables WHERE schemaname = 'public')`, product).Scan(&products, &tables)
	if err != nil {
		return 0, 0, fmt.Errorf("look into the parent database: %w", err)
	}
	return products, tables, nil
}

// diffLines are the first lines of the comment's SQL fence.
func diffLines(comment string) []string {
	_, rest, _ := strings.Cut(comment, "```sql\n")
	sql, _, _ := strings.Cut(rest, "```")
	lines := strings.Split(strings.TrimSpace(sql), "\n")
	if len(lines) > diffShown {
		lines = append(lines[:diffShown], "…")
	}
	for i := range lines {
		lines[i] = "  " + lines[i]
	}
	return lines
}

// shortly names what is for Postman, without folders and our own notes.
func shortly(things []string) []string {
	var names []string
	for _, thing := range things {
		if name := path.Base(thing); name != "mark.json" {
			names = append(names, name)
		}
	}
	return names
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
