package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
)

//go:embed page
var files embed.FS

const (
	htmlType   = "text/html; charset=utf-8"
	scriptPath = "/assets/live.js"
	formHere   = "form-action 'self'" // of the policy
)

// templates is parsed once: the files are part of the program.
var templates = sync.OnceValue(func() *template.Template { //nolint:gochecknoglobals // computed once from constants
	return template.Must(template.New("").Funcs(template.FuncMap{
		"style":  func() template.CSS { return template.CSS(embedded("style.css")) }, //nolint:gosec // our own file
		"script": func() string { return scriptPath + "?v=" + digest(embedded("live.js"))[:12] },
		"rfc":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"moment": func(t time.Time) string { return t.UTC().Format("2 Jan 15:04 UTC") },
		"clock":  func(t time.Time) string { return t.UTC().Format("15:04:05.000") },
	}).ParseFS(files, "page/*.html"))
})

// policy allows the one style sheet in the page, by its digest, and the one script of ours.
var policy = sync.OnceValue(func() string { //nolint:gochecknoglobals // computed once from constants
	sum := sha256.Sum256(embedded("style.css"))
	return fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; script-src 'self'; connect-src 'self'; img-src data:; "+
		"base-uri 'none'; %s; frame-ancestors 'none'", base64.StdEncoding.EncodeToString(sum[:]), formHere)
})

func embedded(name string) []byte {
	text, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err) // a file of the program itself
	}
	return text
}

func digest(text []byte) string { return fmt.Sprintf("%x", sha256.Sum256(text)) }

func tagOf(body []byte) string { return `"` + digest(body)[:32] + `"` }

func render(name string, data any) ([]byte, error) {
	var b bytes.Buffer
	if err := templates().ExecuteTemplate(&b, name+".html", data); err != nil {
		return nil, fmt.Errorf("render %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// script sends the one script. Its address changes with its content.
func script(c *gin.Context) {
	c.Header("Cache-Control", "public, max-age=86400")
	c.Header("X-Content-Type-Options", "nosniff")
	c.Data(http.StatusOK, "text/javascript; charset=utf-8", embedded("live.js"))
}

// Notice is a page that says one thing and what to do about it.
type Notice struct {
	Title, Text, Hint string
	Code              string // a command to copy; may be empty
	Refresh           int    // seconds until the browser asks again; 0: never
	Action            *Action
	Form              *Form
	SignOut, Project  string // where to sign out, and from which page; may be empty
}

// Action is the one thing to do on a Notice.
type Action struct{ Text, URL string }

// Form is what to fill in on a Notice, and send.
type Form struct {
	Action, Button string // Action may be of another site
	Hidden         map[string]string
	Label, Name    string // of the one field; empty: none
	Wrong          string // what was wrong with it the last time
}

// site is where the form may be sent to, for the policy; empty: here.
func (f *Form) site() string {
	if f == nil {
		return ""
	}
	u, err := url.Parse(f.Action)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// notice ends the request with a Notice.
func (d *Dashboard) notice(c *gin.Context, status int, n Notice) {
	WriteNotice(c.Writer, status, n)
	c.Abort()
}

// WriteNotice answers with a small page for a person. It depends on no other file, so that it
// works at any host name.
func WriteNotice(w http.ResponseWriter, status int, n Notice) {
	body, err := render("notice", n)
	if err != nil {
		http.Error(w, n.Title, status)
		return
	}
	harden(w.Header())
	if site := n.Form.site(); site != "" {
		w.Header().Set("Content-Security-Policy", strings.Replace(policy(), formHere, formHere+" "+site, 1))
	}
	w.Header().Set("Content-Type", htmlType)
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not listen can't be told
}
