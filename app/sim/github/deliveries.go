package github

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (d Delivery) json() object {
	zeroNil := func(id int64) any {
		if id == 0 {
			return nil
		}
		return id
	}
	return object{
		"id": d.ID, "guid": d.GUID, "delivered_at": stamp(d.DeliveredAt), "redelivery": d.Redelivery, "duration": d.Duration.Seconds(),
		"status": d.Status, "status_code": d.StatusCode, "event": d.Event, "action": emptyNil(d.Action),
		"installation_id": zeroNil(d.InstallationID), "repository_id": zeroNil(d.RepositoryID), "throttled_at": nil,
	}
}

// deliveryKept is how long GitHub remembers an attempt.
const deliveryKept = 3 * 24 * time.Hour

// cursorPrefix stands before the id of the delivery that a page begins with. Callers must not know.
const cursorPrefix = "v1_"

// attempts are those that were made and are remembered, newest first.
func (c *call) attempts() []Delivery {
	oldest := c.s.now().Add(-deliveryKept)
	return slices.DeleteFunc(c.s.hooks.list(), func(d Delivery) bool { return d.DeliveredAt.Before(oldest) })
}

// listDeliveries pages by cursor, which names the first delivery of a page.
func (c *call) listDeliveries() (answer, error) {
	q := c.r.URL.Query()
	size, status, first := number(q.Get("per_page"), 30, 100), q.Get("status"), int64(math.MaxInt64)
	if cursor := q.Get("cursor"); cursor != "" {
		id, ok := strings.CutPrefix(cursor, cursorPrefix)
		var err error
		if first, err = strconv.ParseInt(id, 10, 64); err != nil || !ok {
			return answer{}, fail(http.StatusBadRequest, "Invalid cursor")
		}
	}
	list, header := []object{}, http.Header{}
	for _, d := range c.attempts() {
		if d.ID > first || status == "success" && d.failed() || status == "failure" && !d.failed() {
			continue
		}
		if len(list) == size {
			q.Set("per_page", strconv.Itoa(size))
			q.Set("cursor", cursorPrefix+strconv.FormatInt(d.ID, 10))
			header.Set("Link", "<"+c.base+"/api/v3/app/hook/deliveries?"+q.Encode()+`>; rel="next"`)
			break
		}
		list = append(list, d.json())
	}
	return answer{body: list, header: header}, nil
}

func (d Delivery) failed() bool { return d.StatusCode < 200 || d.StatusCode >= 400 }

func (c *call) pathDelivery() (Delivery, error) {
	for _, d := range c.attempts() {
		if d.ID == c.id("delivery_id") {
			return d, nil
		}
	}
	return Delivery{}, fail(http.StatusNotFound, "Not Found")
}

func (c *call) getDelivery() (answer, error) {
	d, err := c.pathDelivery()
	if err != nil {
		return answer{}, err
	}
	o := d.json()
	o["url"] = c.s.hooks.url()
	o["request"] = object{"headers": d.headers(c.s.cfg.AppID), "payload": json.RawMessage(d.Payload)}
	o["response"] = object{"headers": object{}, "payload": d.Response}
	return answer{body: o}, nil
}

func (c *call) redeliver() (answer, error) {
	d, err := c.pathDelivery()
	if err != nil {
		return answer{}, err
	}
	c.s.hooks.redeliver(d.ID)
	return answer{status: http.StatusAccepted, body: object{}}, nil
}
