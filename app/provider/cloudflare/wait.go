package cloudflare

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/flaresmith/flaresmith/app/preview"
)

// nothingHere is what the page of a workers.dev host says at which no Worker is seen yet.
const nothingHere = "nothing here yet"

// prove waits for a deployment's host, and has the Worker there prove who it is where that is asked for.
func (p *Workers) prove(ctx context.Context, address string, in preview.Inputs) error {
	if err := p.await(ctx, address); err != nil || in.Verify == nil {
		return err
	}
	return in.Verify(ctx, p.ask(address))
}

// await waits until the Worker is seen at its host, which takes Cloudflare some seconds, and minutes for an
// account's first one. After a while it is enough: an answer would be no proof of this very version, and whoever
// opens the preview sees Cloudflare's own page until then.
func (p *Workers) await(ctx context.Context, address string) error {
	began := time.Now()
	look := p.look / 4 // the host is asked, not the API: looks are free, and most new hosts are seen within a second
	for {
		if p.answers(ctx, address) {
			return nil
		}
		if time.Since(began) > p.wait {
			p.log.WarnContext(ctx, "the host of a Worker is not seen yet", "provider", "cloudflare", "url", address, "waited", p.wait)
			return nil
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
		look = min(look+look/2, p.look)
	}
}

// answers reports whether anything but Cloudflare's own page is at the host: any status of a Worker will do.
func (p *Workers) answers(ctx context.Context, address string) bool {
	const most = 64 << 10
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	answer, err := p.reach.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusNotFound {
		return true
	}
	page, err := io.ReadAll(io.LimitReader(answer.Body, most))
	return err == nil && !bytes.Contains(page, []byte(nothingHere))
}

// ask sends what proves who a Worker is to its host.
func (p *Workers) ask(address string) preview.Ask {
	const most = 64 << 10
	return func(ctx context.Context, path string, headers map[string]string) (int, []byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(address, "/")+path, nil)
		if err != nil {
			return 0, nil, err
		}
		for name, value := range headers {
			request.Header.Set(name, value)
		}
		answer, err := p.reach.Do(request)
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(io.LimitReader(answer.Body, most))
		return answer.StatusCode, body, err
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
