package workflow

import (
	"context"

	gh "github.com/google/go-github/v62/github"
)

// ownerRepository holds the defaults of all repositories of its owner.
const ownerRepository = ".github"

// DefaultFile is a file of the default branch, whatever the event's commit has at that path; found is false if
// there is none, or the step may not see it. Without one, it is the file ownerPath of the owner's repository of
// defaults, if the token may read that.
func (s *Step) DefaultFile(ctx context.Context, path, ownerPath string) (data []byte, found bool, err error) {
	client, err := s.client()
	if err != nil {
		return nil, false, err
	}
	owner, name := s.context.Repo()
	if data, err = s.file(ctx, client, owner, name, path, s.Event.DefaultBranch); err == nil {
		return data, true, nil
	}
	if refused(err) {
		data, err = s.file(ctx, client, owner, ownerRepository, ownerPath, "")
	}
	if refused(err) {
		return nil, false, nil
	}
	return data, err == nil, err
}

func (s *Step) file(ctx context.Context, client *gh.Client, owner, name, path, ref string) (data []byte, err error) {
	err = read(ctx, func(ctx context.Context) error {
		file, _, _, err := client.Repositories.GetContents(ctx, owner, name, path, &gh.RepositoryContentGetOptions{Ref: ref})
		if err != nil || file == nil { // a folder is no file
			return err
		}
		text, err := file.GetContent()
		data = []byte(text)
		return err
	})
	return data, err
}

// Tellable is an error of a call without what an answer or address may hold.
func Tellable(err error) string { return tellable(err) }
