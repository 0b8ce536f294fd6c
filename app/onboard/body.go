package onboard

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/flaresmith/flaresmith/app/preview"
	"github.com/flaresmith/flaresmith/app/repoconfig"
	"github.com/flaresmith/flaresmith/app/report"
)

// Bounds of what a repository can make as long as it likes.
const (
	maxListed   = 10  // entries of a list
	maxSentence = 300 // characters
)

// body is the pull request's text.
func (f Found) body(file []byte) string {
	var b strings.Builder
	b.WriteString("This adds `" + repoconfig.Path + "`, with which [Flaresmith](" + manual + ") gives every pull request of this repository a preview of its own. " +
		"**Until it is merged, Flaresmith does nothing here and posts nothing else.**\n")
	section(&b, "What was found", f.findings())
	if string(file) == header {
		b.WriteString("\nAll of it is where Flaresmith looks by default, so the file holds a comment only.\n")
	}
	section(&b, "What happens after the merge", []string{
		"Each open pull request gets a **database**: a copy of the operator's parent database, with the pull request's migrations applied. The parent is never changed.",
		"It gets **every Worker of the file**, compiled from the pull request's source and running against that copy, each at an address of its own.",
		"It gets **Postman files**: the collections, and an environment that points at the preview.",
		"A **check run** `Flaresmith / Preview`, one **comment** that is edited in place, and a **deployment** say where it is and what changed. Each push updates it.",
		"When the pull request is closed, or " + hours(repoconfig.Default().Policy.TTL.Hours()) + " after its last push, **everything is removed**. `/flaresmith help` in a comment lists the commands.",
	})
	section(&b, "What it does not do", []string{
		"It runs no npm script, no build command and no configuration file: source is compiled, and runs in the Workers runtime only.",
		"It deploys nothing to production, and makes no check required.",
		"Pull requests from forks get no preview.",
	})
	if limits := f.limits(); len(limits) > 0 {
		section(&b, "What does not work here yet", limits)
	}
	b.WriteString("\n### To change something\n\nEdit the file in this branch, or later: [all keys](" + manual + "). " +
		"What it says counts once it is on the default branch.\n")
	b.WriteString("\n### To say no\n\nClose this pull request. It will not be opened again, and the branch can be deleted.\n")
	return b.String()
}

func section(b *strings.Builder, heading string, items []string) {
	fmt.Fprintf(b, "\n### %s\n\n", heading)
	for _, item := range items {
		b.WriteString("- " + item + "\n")
	}
}

func hours(n float64) string { return fmt.Sprintf("%g hours", n) }

// findings lists what the proposal rests on.
func (f Found) findings() (list []string) {
	var locks []string
	for _, w := range f.Workers {
		list = append(list, w.finding(len(f.Workers) > 1))
		if w.Lock != "" && !slices.Contains(locks, w.Lock) {
			locks = append(locks, w.Lock)
		}
	}
	if left := f.left(); len(left) > 0 {
		list = append(list, "Further Wrangler configurations, which are left out: "+spans(left)+
			". Add them under `layout.workers`, up to "+strconv.Itoa(maxWorkers)+" in all")
	}
	if len(locks) > 0 {
		list = append(list, "npm packages: as pinned in "+spans(locks))
	}
	switch {
	case f.Migrations != "" && f.Drizzle:
		list = append(list, "Migrations: "+span(f.Migrations)+", by drizzle-kit")
	case f.Migrations != "":
		list = append(list, "Migrations: the SQL files in "+span(f.Migrations)+", in the order of their names")
	default:
		list = append(list, "Migrations: none. Name their folder as `layout.migrations.dir` once there is one")
	}
	if f.Collections != "" {
		return append(list, "Postman collections: "+span(f.Collections))
	}
	return append(list, "Postman collections: none. Only the environment is made")
}

// finding is one Worker.
func (w Worker) finding(named bool) string {
	text := "Worker: "
	if named {
		text = "Worker " + span(w.Called) + ": "
	}
	text += span(w.Config)
	switch {
	case w.Main != "" && w.Assets != "":
		text += ", which starts with " + span(w.Main) + " and serves the files of " + span(w.Assets)
	case w.Main != "":
		text += ", which starts with " + span(w.Main)
	default:
		return text + ", which serves the files of " + span(w.Assets)
	}
	switch {
	case w.Binding != "":
		return text + ". It gets its connection string as " + span(w.Binding)
	case len(w.Several) > 0:
		return text + ". Its connection string could be " + spans(w.Several) + ": it gets it as " + span(defaultWorker().DatabaseBinding) + ", unless `database_binding` says otherwise"
	}
	return text + ". Nothing tells the name of its connection string: it gets it as " + span(defaultWorker().DatabaseBinding) + ", unless `database_binding` says otherwise"
}

// left are the Wrangler configurations that the file does not name.
func (f Found) left() (names []string) {
	for _, w := range f.Left {
		names = append(names, w.Config)
	}
	return append(names, f.Unread...)
}

// limits lists what would keep a preview from working.
func (f Found) limits() (list []string) {
	if f.NoParent {
		list = append(list, "The operator of this Flaresmith server has named no database to branch from.")
	}
	var problems []preview.Problem
	for _, w := range clipped(slices.Concat(f.Workers, f.Left)) {
		list = append(list, w.limits()...)
		problems = append(problems, w.Problems...)
	}
	for _, p := range clipped(f.Passed) {
		list = append(list, "The migrations in "+span(p.Folder)+" are not applied: "+p.Reason+".")
	}
	for _, p := range clipped(problems) {
		text := span(place(p.Path, p.Line)) + ": " + report.Escape(short(p.Message, maxSentence))
		if p.Hint != "" {
			text += " (" + report.Escape(short(p.Hint, maxSentence)) + ")"
		}
		list = append(list, text+".")
	}
	if more := len(problems) - maxListed; more > 0 {
		list = append(list, fmt.Sprintf("%d more of the kind; the check of a pull request names all.", more))
	}
	return list
}

func place(path string, line int) string {
	if line == 0 {
		return path
	}
	return fmt.Sprintf("%s:%d", path, line)
}

func (w Worker) limits() (list []string) {
	switch {
	case w.Lock != "" || w.OtherLock == "":
	case path.Base(w.OtherLock) == "package.json":
		list = append(list, "There is no lock file beside or above "+span(w.Config)+
			". npm packages are taken from `package-lock.json` or `pnpm-lock.yaml` only: run `npm install --package-lock-only` and commit it.")
	default:
		list = append(list, span(w.OtherLock)+" is not supported: run `npm install --package-lock-only` and commit `package-lock.json`.")
	}
	if w.NoMain {
		list = append(list, span(w.Main)+" is not in the repository. No build command is run: let `main` name the source file, TypeScript is compiled.")
	}
	if w.NoAssets {
		list = append(list, "The folder "+span(w.Assets)+" is not in the repository. No build command is run: its files must be committed.")
	}
	return list
}

func clipped[T any](list []T) []T { return list[:min(len(list), maxListed)] }

func span(name string) string { return report.CodeSpan(short(name, maxPath)) }

// short bounds a text to a number of characters.
func short(text string, characters int) string {
	if runes := []rune(text); len(runes) > characters {
		return string(runes[:characters-1]) + "…"
	}
	return text
}

// spans lists names as code.
func spans(names []string) string {
	shown := slices.Clone(clipped(names))
	for i := range shown {
		shown[i] = span(shown[i])
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
