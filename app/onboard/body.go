package onboard

import (
	"fmt"
	"path"
	"slices"
	"strings"

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
		"It gets the **Worker**, compiled from the pull request's source and running against that copy, at an address of its own.",
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
func (f Found) findings() []string {
	first := f.Workers[0]
	worker := "Worker: " + span(first.Config)
	switch {
	case first.Main != "" && first.Assets != "":
		worker += ", which starts with " + span(first.Main) + " and serves the files of " + span(first.Assets)
	case first.Main != "":
		worker += ", which starts with " + span(first.Main)
	default:
		worker += ", which serves the files of " + span(first.Assets)
	}
	list := []string{worker}
	if others := f.others(); len(others) > 0 {
		list = append(list, fmt.Sprintf("Further Wrangler configurations, which are left out: %s", spans(others)))
	}
	if first.Lock != "" {
		list = append(list, "npm packages: as pinned in "+span(first.Lock))
	}
	switch {
	case f.Migrations != "" && f.Drizzle:
		list = append(list, "Migrations: "+span(f.Migrations)+", by drizzle-kit")
	case f.Migrations != "":
		list = append(list, "Migrations: the SQL files in "+span(f.Migrations)+", in the order of their names")
	default:
		list = append(list, "Migrations: none. Name their folder as `layout.migrations.dir` once there is one")
	}
	switch {
	case first.Main == "":
	case first.Binding != "":
		list = append(list, "Connection string: the Worker gets it as "+span(first.Binding))
	case len(first.Several) > 0:
		list = append(list, "Connection string: it could be "+spans(first.Several)+". The Worker gets it as `"+defaultBinding()+"`, unless `layout.database_binding` says otherwise")
	default:
		list = append(list, "Connection string: nothing tells its name. The Worker gets it as `"+defaultBinding()+"`, unless `layout.database_binding` says otherwise")
	}
	if f.Collections != "" {
		list = append(list, "Postman collections: "+span(f.Collections))
	} else {
		list = append(list, "Postman collections: none. Only the environment is made")
	}
	return list
}

func defaultBinding() string { return repoconfig.Default().Layout.DatabaseBinding }

// others are the Workers that the file does not name.
func (f Found) others() (names []string) {
	for _, w := range f.Workers[min(len(f.Workers), maxProposed):] {
		names = append(names, w.Config)
	}
	return append(names, f.Unread...)
}

// limits lists what would keep a preview from working.
func (f Found) limits() (list []string) {
	if f.NoParent {
		list = append(list, "The operator of this Flaresmith server has named no database to branch from.")
	}
	for _, w := range f.Workers[:min(len(f.Workers), maxProposed)] {
		list = append(list, w.limits()...)
	}
	for _, p := range clipped(f.Passed) {
		list = append(list, "The migrations in "+span(p.Folder)+" are not applied: "+p.Reason+".")
	}
	problems := f.problems()
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
