package preview

// Finding is what somebody who looks at an outside system's account sees of one thing there.
type Finding struct {
	What   string // e.g. "Neon project"
	OK     bool
	Detail string // what was seen, or went wrong
	Remedy string // what the operator can do about it; empty when OK
}

// Fine is a Finding with nothing to do.
func Fine(what, detail string) Finding { return Finding{What: what, OK: true, Detail: detail} }

// Amiss is a Finding with something to do.
func Amiss(what, detail, remedy string) Finding {
	return Finding{What: what, Detail: detail, Remedy: remedy}
}
