package github

import (
	"context"
	"fmt"

	gh "github.com/google/go-github/v62/github"

	"github.com/flaresmith/flaresmith/app/preview"
)

const deliveriesPage = 100 // GitHub's most

// Deliveries returns a page of the attempts to deliver the App's events, newest first, and the cursor of the
// next page, empty after the last. An empty cursor asks for the first page.
func (a *App) Deliveries(ctx context.Context, cursor string) (page []preview.Attempt, next string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, response, err := a.appClient().Apps.ListHookDeliveries(ctx, &gh.ListCursorOptions{PerPage: deliveriesPage, Cursor: cursor})
	if err != nil {
		return nil, "", classify(err, "list of deliveries")
	}
	for _, d := range list {
		page = append(page, preview.Attempt{ID: d.GetID(), GUID: d.GetGUID(), Event: d.GetEvent(), At: d.GetDeliveredAt().Time})
	}
	return page, response.Cursor, nil
}

// DeliveryPayload returns the payload of an attempt, or preview.ErrNotFound when GitHub keeps it no more.
func (a *App) DeliveryPayload(ctx context.Context, attemptID int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	what := fmt.Sprintf("delivery %d", attemptID)
	d, _, err := a.appClient().Apps.GetHookDelivery(ctx, attemptID)
	if err != nil {
		return nil, classify(err, what)
	}
	if d.Request == nil || d.Request.RawPayload == nil {
		return nil, fmt.Errorf("%s: no payload in the answer: %w", what, preview.ErrNotFound)
	}
	return *d.Request.RawPayload, nil
}
