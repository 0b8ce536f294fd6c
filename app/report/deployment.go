package report

// deployment is the GitHub Deployment of an environment. While something serves, a failing or
// working newest commit has a deployment of its own with that state.
func deployment(s Status) *Deployment {
	d := &Deployment{
		Environment: s.Environment.Name,
		SHA:         s.headSHA(),
		State:       s.Phase.deploymentState(),
		Description: clip(oneLine(s.headline()), maxDescription),
	}
	if s.Environment.Kind.Core() { // known by its kind, and where its commit comes from is what people ask
		d.Environment = string(s.Environment.Kind)
		d.Description = clip(oneLine(s.Environment.Branch+": "+s.headline()), maxDescription)
	} else if s.Reason != "" {
		d.Description = clip(oneLine(s.headline()+": "+s.Reason), maxDescription)
	}
	if url, ok := s.serves(); ok && linkable(url) {
		d.URL = url
	}
	if d.Environment == "" || d.SHA == "" || s.Phase == PhaseQueued {
		return nil
	}
	return d
}

func (p Phase) deploymentState() string {
	switch p {
	case PhaseReady:
		return "success"
	case PhaseQueued, PhaseWorking, PhaseUnavailable, PhaseNeedsAction:
		return "in_progress"
	}
	if p.absent() {
		return "inactive"
	}
	return "failure"
}
