package github

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pages shows what there is to people, and lets them act as anybody. Only for loopback.
type pages struct {
	s         *Server
	templates *template.Template
	markdown  markdown
}

func (s *Server) pageRoutes() (http.Handler, error) {
	templates, err := template.ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	p := &pages{s, templates, newMarkdown()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.index)
	mux.HandleFunc("GET /_deliveries", p.deliveries)
	mux.HandleFunc("GET /login/oauth/authorize", p.authorize)
	mux.HandleFunc("POST /settings/apps/new", p.newApp)
	mux.HandleFunc("POST /organizations/{owner}/settings/apps/new", p.newApp)
	mux.HandleFunc("GET /_apps/{id}", p.createApp)
	mux.HandleFunc("GET /{owner}/{repo}", p.repo)
	mux.HandleFunc("GET /{owner}/{repo}/pull/{number}", p.pull)
	mux.HandleFunc("POST /{owner}/{repo}/pull/{number}/{action}", p.act)
	mux.HandleFunc("GET /{owner}/{repo}/runs/{id}", p.run)
	mux.HandleFunc("GET /{owner}/{repo}/commit/{sha}", p.commit)
	mux.HandleFunc("GET /_avatar/{login}", avatar)
	mux.HandleFunc("GET /_assets/page.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, pageFiles, "page/page.css") })
	mux.HandleFunc("GET /{owner}/{repo}/raw/{sha}/{path...}", s.serveRaw)
	own := http.NewCrossOriginProtection()
	own.AddInsecureBypassPattern("POST /settings/apps/new")
	own.AddInsecureBypassPattern("POST /organizations/{owner}/settings/apps/new")
	return p.guard(own.Handler(mux)), nil
}

// guard refuses foreign host names, which a page elsewhere could point at this machine, and sets what a browser may load.
func (p *pages) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		base, err := url.Parse(p.s.URL())
		host, _, splitErr := net.SplitHostPort(r.Host)
		if splitErr != nil {
			host = r.Host
		}
		if err != nil || (r.Host != base.Host && host != "localhost" && host != "127.0.0.1") {
			http.Error(w, "unknown host", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

func (p *pages) render(w http.ResponseWriter, name string, data any) {
	var out bytes.Buffer
	if err := p.templates.ExecuteTemplate(&out, name, data); err != nil {
		p.s.log.Error("page", "name", name, "error", err)
		http.Error(w, "page failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(out.Bytes()) // the reader may have gone
}

type repoPage struct {
	Name    string
	Private bool
	Pulls   []pullLine
}

type pullLine struct {
	Path, Title, Author, State string
	Number                     int
}

func (p *pullRequest) state() string {
	switch {
	case !p.merged.IsZero():
		return "merged"
	case !p.open():
		return "closed"
	case p.draft:
		return "draft"
	}
	return "open"
}

func (p *pullRequest) path() string { return fmt.Sprintf("/%s/pull/%d", p.repo.fullName(), p.number) }

func (p *pages) repoPage(r *repository) repoPage {
	page := repoPage{Name: r.fullName(), Private: r.private}
	for _, pull := range slices.Backward(r.pulls) {
		page.Pulls = append(page.Pulls, pullLine{pull.path(), pull.title, pull.author.Login, pull.state(), pull.number})
	}
	return page
}

func (p *pages) index(w http.ResponseWriter, _ *http.Request) {
	p.s.mu.Lock()
	var repos []repoPage
	for _, r := range p.s.repos {
		repos = append(repos, p.repoPage(r))
	}
	p.s.mu.Unlock()
	p.render(w, "index", map[string]any{"Repos": repos})
}

func (p *pages) repo(w http.ResponseWriter, req *http.Request) {
	p.s.mu.Lock()
	r := p.s.find(req.PathValue("owner") + "/" + req.PathValue("repo"))
	var repos []repoPage
	if r != nil {
		repos = append(repos, p.repoPage(r))
	}
	p.s.mu.Unlock()
	if r == nil {
		http.NotFound(w, req)
		return
	}
	p.render(w, "index", map[string]any{"Repos": repos})
}

// deliveries lists the newest attempts to reach the App.
func (p *pages) deliveries(w http.ResponseWriter, _ *http.Request) {
	type line struct {
		Delivery
		Took, At string
	}
	const most = 200
	var lines []line
	for _, d := range p.s.hooks.list() {
		if len(lines) == most {
			break
		}
		one := line{Delivery: d, Took: d.Duration.Round(time.Millisecond).String()}
		if !d.DeliveredAt.IsZero() {
			one.At = d.DeliveredAt.Format(time.RFC3339)
		}
		lines = append(lines, one)
	}
	p.render(w, "deliveries", lines)
}

type pullPage struct {
	pullLine
	Repo, Head, Base, SHA string
	Body                  template.HTML
	Labels, Users         []string
	Checks                []checkPart
	Deployments           []deploymentPart
	Commits               []commitPart
	Comments              []commentPart
}

type checkPart struct {
	ID                             int64
	Name, State, Title, DetailsURL string
	Summary, Text                  template.HTML
	Annotations                    []Annotation
	Actions                        []CheckAction
}

type deploymentPart struct{ State, Environment, SHA, Description, URL string }

type commitPart struct{ SHA, Subject, Author string }

type commentPart struct {
	ID        int64
	User, At  string
	HTML      template.HTML
	Edits     int
	Reactions []string
}

func (p *pages) pull(w http.ResponseWriter, req *http.Request) {
	number, _ := strconv.Atoi(req.PathValue("number")) // 0 is no pull request
	p.s.mu.Lock()
	pull, err := p.s.findPull(req.PathValue("owner")+"/"+req.PathValue("repo"), number)
	var page pullPage
	if err == nil {
		page = p.pullPage(req.Context(), pull)
	}
	p.s.mu.Unlock()
	if err != nil {
		http.NotFound(w, req)
		return
	}
	p.render(w, "pull", page)
}

// pullPage collects what the page shows. The caller holds the Server's lock.
func (p *pages) pullPage(ctx context.Context, pull *pullRequest) pullPage {
	r := pull.repo
	page := pullPage{
		pullLine: pullLine{pull.path(), pull.title, pull.author.Login, pull.state(), pull.number},
		Repo:     r.fullName(), Head: pull.headRef, Base: pull.baseRef, SHA: pull.headSHA, Labels: pull.labels, Users: p.s.people(pull.author), Body: p.markdown.html(pull.body),
	}
	if pull.headRepo != r {
		page.Head = pull.headOwner.Login + ":" + pull.headRef
	}
	for _, run := range slices.Backward(r.checks) {
		if run.HeadSHA != pull.headSHA {
			continue
		}
		state := run.Conclusion
		if state == "" {
			state = run.Status
		}
		page.Checks = append(page.Checks, checkPart{
			run.ID, run.Name, state, run.Title, run.DetailsURL, p.markdown.html(run.Summary), p.markdown.html(run.Text), run.Annotations, run.Actions,
		})
	}
	commits, err := p.s.git.commits(ctx, r.dir, "-100", "--reverse", pull.headSHA, "^"+pull.baseSHA)
	if err != nil {
		p.s.log.Error("page", "pr", pull.number, "error", err)
	}
	ours := map[string]bool{pull.headSHA: true}
	for _, c := range commits {
		subject, _, _ := strings.Cut(c.message, "\n")
		page.Commits, ours[c.sha] = append(page.Commits, commitPart{c.sha, subject, c.authorName}), true
	}
	for _, d := range slices.Backward(r.deployments) {
		if !ours[d.SHA] {
			continue
		}
		part := deploymentPart{State: d.State(), Environment: d.Environment, SHA: d.SHA, Description: d.Description}
		if n := len(d.Statuses); n > 0 {
			part.URL, part.Description = d.Statuses[n-1].EnvironmentURL, d.Statuses[n-1].Description
		}
		page.Deployments = append(page.Deployments, part)
	}
	for _, c := range r.comments {
		if c.Issue != pull.number {
			continue
		}
		part := commentPart{ID: c.ID, User: c.User, At: fmt.Sprint(stamp(c.CreatedAt)), HTML: p.markdown.html(c.Body), Edits: c.Edits}
		for _, reaction := range c.Reactions {
			part.Reactions = append(part.Reactions, reactionEmoji(reaction.Content))
		}
		page.Comments = append(page.Comments, part)
	}
	return page
}

func reactionEmoji(content string) string {
	return map[string]string{"+1": "👍", "-1": "👎", "laugh": "😄", "confused": "😕", "heart": "❤️", "hooray": "🎉", "rocket": "🚀", "eyes": "👀"}[content]
}

// people lists who can be chosen to act, the given one first.
func (s *Server) people(first *User) []string {
	return append([]string{first.Login}, slices.DeleteFunc(s.logins(), func(login string) bool { return login == first.Login })...)
}

// logins are those of all people, sorted.
func (s *Server) logins() []string {
	var logins []string
	for _, u := range s.users {
		if u.Type == "User" {
			logins = append(logins, u.Login)
		}
	}
	slices.Sort(logins)
	return logins
}

// act does what a form asks for, as whoever it names.
func (p *pages) act(w http.ResponseWriter, req *http.Request) {
	req.Body = http.MaxBytesReader(w, req.Body, 1<<20)
	repo, user := req.PathValue("owner")+"/"+req.PathValue("repo"), req.FormValue("user")
	number, _ := strconv.Atoi(req.PathValue("number"))       // 0 is no pull request
	run, _ := strconv.ParseInt(req.FormValue("run"), 10, 64) // 0 is no run
	if user == "" {
		http.Error(w, "no user", http.StatusBadRequest)
		return
	}
	var err error
	switch req.PathValue("action") {
	case "comment":
		_, err = p.s.Comment(repo, number, user, strings.ReplaceAll(req.FormValue("body"), "\r\n", "\n"))
	case "press":
		err = p.s.PressButton(repo, run, req.FormValue("identifier"), user)
	case "rerequest":
		err = p.s.Rerequest(repo, run, user)
	case "close":
		err = p.s.ClosePR(repo, number, user)
	case "reopen":
		err = p.s.Reopen(repo, number, user)
	case "merge":
		_, err = p.s.MergePR(repo, number, user)
	default:
		err = ErrNotFound
	}
	switch {
	case errors.Is(err, ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		http.Redirect(w, req, fmt.Sprintf("/%s/pull/%d", repo, number), http.StatusSeeOther)
	}
}

// run leads from a check run's own address to the pull request that shows it.
func (p *pages) run(w http.ResponseWriter, req *http.Request) {
	id, _ := strconv.ParseInt(req.PathValue("id"), 10, 64) // 0 is no run
	p.s.mu.Lock()
	target := ""
	if r := p.s.find(req.PathValue("owner") + "/" + req.PathValue("repo")); r != nil {
		if run := r.checkRun(id); run != nil {
			for _, pull := range r.pulls {
				if pull.headSHA == run.HeadSHA {
					target = fmt.Sprintf("%s#run-%d", pull.path(), id)
				}
			}
		}
	}
	p.s.mu.Unlock()
	if target == "" {
		http.NotFound(w, req)
		return
	}
	http.Redirect(w, req, target, http.StatusSeeOther)
}

// commit shows a commit as plain text.
func (p *pages) commit(w http.ResponseWriter, req *http.Request) {
	r, err := p.s.lookup(req.PathValue("owner") + "/" + req.PathValue("repo"))
	sha := req.PathValue("sha")
	if err != nil || !isHex(sha) {
		http.NotFound(w, req)
		return
	}
	text, err := p.s.git.run(req.Context(), r.dir, nil, "show", "--no-color", "--no-ext-diff", sha, "--")
	if err != nil {
		http.NotFound(w, req)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(text) // the reader may have gone
}

// avatar draws a disc with an initial.
func avatar(w http.ResponseWriter, req *http.Request) {
	login := strings.TrimSuffix(req.PathValue("login"), ".svg")
	hue := 0
	for _, r := range login {
		hue = (hue*31 + int(r)) % 360
	}
	initial := template.HTMLEscapeString(strings.ToUpper(string([]rune(login + "?")[:1])))
	w.Header().Set("Content-Type", "image/svg+xml")
	_, _ = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><circle cx="10" cy="10" r="10" fill="hsl(%d 45%% 45%%)"/><text x="10" y="14" font-size="11" font-family="sans-serif" text-anchor="middle" fill="#fff">%s</text></svg>`, hue, initial)
}
