package github

import (
	"context"
	"errors"
	"fmt"
)

// RequestMergeGroup puts a pull request into the merge queue: a merge commit on a queue branch, whose
// SHA it gives, and merge_group checks_requested.
func (s *Server) RequestMergeGroup(repo string, number int, actor string) (string, error) {
	var sha string
	err := s.withPull(repo, number, func(p *pullRequest) error {
		if !p.open() {
			return errors.New("is closed")
		}
		ctx, dir := context.Background(), p.repo.dir
		base := s.git.resolve(ctx, dir, "refs/heads/"+p.baseRef)
		merged, err := s.git.mergeCommit(ctx, dir, base, p.headSHA, fmt.Sprintf("Merge pull request #%d from %s", p.number, p.headRef))
		if err != nil {
			return err
		}
		ref := fmt.Sprintf("refs/heads/gh-readonly-queue/%s/pr-%d-%s", p.baseRef, p.number, base)
		if _, err := s.git.run(ctx, dir, nil, "update-ref", ref, merged); err != nil {
			return err
		}
		sha = merged
		s.emitRepo("merge_group", "checks_requested", p.repo, s.user(actor), object{"merge_group": object{
			"head_sha": merged, "head_ref": ref, "base_sha": base, "base_ref": "refs/heads/" + p.baseRef, "head_commit": s.headCommitJSON(p.repo, merged),
		}})
		return nil
	})
	return sha, err
}
