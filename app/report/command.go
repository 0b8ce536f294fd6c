package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// AnswerKind is what became of a command.
type AnswerKind string

// The kinds of answer.
const (
	AnswerHelp     AnswerKind = "help"
	AnswerStatus   AnswerKind = "status"   // needs Status
	AnswerAccepted AnswerKind = "accepted" // it is being done
	AnswerExtended AnswerKind = "extended" // needs Until
	AnswerRefused  AnswerKind = "refused"  // needs Needs and Has
	AnswerInvalid  AnswerKind = "invalid"  // needs Reason: a wrong argument, or not possible now
	AnswerUnknown  AnswerKind = "unknown"
)

// Answer is everything that the reply to one command is made of.
type Answer struct {
	Kind    AnswerKind
	Command preview.Command
	Needs   preview.Role // the role that the command needs
	Has     preview.Role // the role that the person has
	Until   time.Time    // the preview's new end
	Reason  string       // one sentence; may contain hostile text
	Status  *Status
}

// CommandReply words the answer to a command as Markdown. It begins with CommandMarker.
func CommandReply(a Answer) string {
	body := ""
	switch a.Kind {
	case AnswerHelp:
		body = "These are the commands. Each is the first line of a new comment.\n\n" + commandTable()
	case AnswerStatus:
		body = statusReply(a.Status)
	case AnswerAccepted:
		body = accepted(a.Command.Verb)
	case AnswerExtended:
		body = "The preview now lives until **" + a.Until.UTC().Format("Monday, 2 January 2006, 15:04 UTC") + "**.\n"
	case AnswerRefused:
		body = fmt.Sprintf("Not done: %s needs the role %s, and you have %s.\n", commandSpan(a.Command), roleText(a.Needs), roleText(a.Has))
	case AnswerInvalid:
		body = fmt.Sprintf("Not done: %s\n", Escape(clip(a.Reason, 300)))
	default:
		body = commandSpan(a.Command) + " is no command.\n\n" + commandTable()
	}
	return CommandMarker(a.Command) + "\n" + body
}

// CommandMarker is the hidden line by which the reply to a command is found again.
func CommandMarker(c preview.Command) string {
	return "<!-- flaresmith:command:" + markerText(c.Key) + " -->"
}

func commandSpan(c preview.Command) string {
	verb := string(c.Verb)
	if c.Verb == preview.VerbUnknown {
		verb = ""
	}
	text := strings.Join(strings.Fields("/flaresmith "+verb+" "+c.Argument), " ")
	return CodeSpan(clip(oneLine(text), 120))
}

func accepted(verb preview.Verb) string {
	switch verb {
	case preview.VerbRebuild:
		return "Rebuilding: everything is recreated from the parent. The preview's comment follows.\n"
	case preview.VerbResetDB:
		return "Resetting the database: it gets a fresh copy of the parent, and the migrations again.\n"
	case preview.VerbDestroy:
		return "Destroying the preview. It stays away until `/flaresmith preview`.\n"
	case preview.VerbPreview:
		return "Bringing the preview back.\n"
	case preview.VerbApprove:
		return "Approved, for exactly this commit. The next one needs an approval of its own.\n"
	}
	return "It is being done.\n"
}

func statusReply(s *Status) string {
	if s == nil {
		return "There is no preview.\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", s.headline())
	b.WriteString(stateLine(*s))
	if s.Reason != "" {
		b.WriteString(Escape(clip(s.Reason, 500)) + "\n\n")
	}
	b.WriteString(stillServes(*s))
	b.WriteString(problemList(s.problemHeading(), s.failures()))
	b.WriteString(warningList(*s))
	b.WriteString(changes(*s))
	if next := s.next(); next != "" {
		b.WriteString("**Next:** " + next + "\n")
	}
	return b.String()
}

// roleText is a role with GitHub's word for it.
func roleText(role preview.Role) string {
	switch role {
	case preview.RoleOwner:
		return "Owner (admin)"
	case preview.RoleMaintainer:
		return "Maintainer (maintain)"
	case preview.RoleContributor:
		return "Contributor (write)"
	case preview.RoleViewer:
		return "Viewer (read or triage)"
	}
	return "none"
}

// commandTable lists the commands.
func commandTable() string {
	return "| Comment | Does |\n| --- | --- |\n" +
		"| `/flaresmith status` | says how the preview is |\n" +
		"| `/flaresmith rebuild` | recreates everything from the parent |\n" +
		"| `/flaresmith reset-db` | gives the database a fresh copy of the parent |\n" +
		"| `/flaresmith extend 24h` | lets the preview live longer |\n" +
		"| `/flaresmith destroy` | removes it until `/flaresmith preview` |\n" +
		"| `/flaresmith preview` | brings it back |\n" +
		"| `/flaresmith approve <commit>` | lets exactly this commit, named with all its 40 characters, run its destructive migrations |\n" +
		"| `/flaresmith spec check` | compares what is generated with the specs again |\n" +
		"| `/flaresmith spec apply` | commits what the specs ask for to this branch |\n" +
		"| `/flaresmith help` | shows this table |\n"
}
