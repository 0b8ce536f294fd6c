// Package report words what people see of an environment: a Status in, the title, summary,
// Markdown and conclusion of a check run, a comment and a deployment out; also the answers to
// slash commands.
//
// It is pure, and its output is equal for equal input: no clock, no network. What two passes
// without a change would word differently (durations, minutes that are left) is kept out of
// everything that is compared. Names, titles, messages and SQL come from strangers; all of it
// goes through Escape, CodeSpan or a fence. It must not know how GitHub is called.
package report
