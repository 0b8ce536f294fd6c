package github

import (
	"maps"
	"slices"
)

// hookEvents are the events that the App subscribes to, besides those every App gets.
func hookEvents() []string {
	return []string{"check_run", "check_suite", "create", "delete", "issue_comment", "merge_group", "pull_request", "pull_request_review",
		"pull_request_review_comment", "push", "repository"}
}

// appEvents is hookEvents as an App lists them about itself. GitHub's description of check suites does not
// know merge_group, so it is left out.
func appEvents() []string {
	return slices.DeleteFunc(hookEvents(), func(event string) bool { return event == "merge_group" })
}

// emitRepo sends an event of a repository to the App, if it is installed there and not suspended.
// The caller holds s.mu; fields become the caller's no more.
func (s *Server) emitRepo(event, action string, r *repository, sender *User, fields object) {
	for _, in := range s.installations {
		if !in.covers(r) || !in.active() {
			continue
		}
		payload := maps.Clone(fields)
		if action != "" {
			payload["action"] = action
		}
		if _, ok := payload["repository"]; !ok {
			payload["repository"] = s.repoJSON(r)
		}
		if r.owner.Type == "Organization" {
			payload["organization"] = s.organizationJSON(r.owner)
		}
		payload["sender"] = s.userJSON(sender)
		payload["installation"] = object{"id": in.id, "node_id": nodeID("I", in.id)}
		s.hooks.deliver(event, action, in.id, r.id, payload)
	}
}

// emitInstallation sends an event of an installation itself, which a suspended or deleted one gets too.
func (s *Server) emitInstallation(event, action string, in *installation, sender *User, fields object) {
	payload := maps.Clone(fields)
	payload["action"] = action
	payload["sender"] = s.userJSON(sender)
	payload["installation"] = s.installationJSON(in)
	s.hooks.deliver(event, action, in.id, 0, payload)
}

// Ping sends the event that GitHub sends when a webhook is set up.
func (s *Server) Ping() {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.next()
	created := stamp(s.now())
	s.hooks.deliver("ping", "", 0, 0, object{
		"zen": "Keep it logically awesome.", "hook_id": id, "hook": object{
			"type": "App", "id": id, "name": "web", "active": true, "events": hookEvents(), "app_id": s.cfg.AppID,
			"config":     object{"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": s.hooks.url()},
			"created_at": created, "updated_at": created, "deliveries_url": s.apiURL("/app/hook/deliveries"),
		},
	})
}

// Webhooks names what is sent, as GitHub's description does: "<event>-<action>" with dashes.
func Webhooks() []string {
	return []string{
		"ping", "push", "create", "delete", "merge-group-checks-requested",
		"check-run-created", "check-run-completed", "check-run-rerequested", "check-run-requested-action", "check-suite-requested", "check-suite-rerequested",
		"installation-created", "installation-deleted", "installation-suspend", "installation-unsuspend", "installation-new-permissions-accepted",
		"installation-target-renamed", "installation-repositories-added", "installation-repositories-removed",
		"issue-comment-created", "issue-comment-edited", "issue-comment-deleted",
		"pull-request-opened", "pull-request-closed", "pull-request-reopened", "pull-request-edited", "pull-request-synchronize", "pull-request-labeled",
		"pull-request-unlabeled", "pull-request-converted-to-draft", "pull-request-ready-for-review",
		"pull-request-review-submitted", "pull-request-review-edited",
		"pull-request-review-comment-created", "pull-request-review-comment-edited", "pull-request-review-comment-deleted",
		"repository-created", "repository-renamed", "repository-transferred", "repository-archived", "repository-unarchived", "repository-deleted",
		"repository-privatized", "repository-publicized",
	}
}
