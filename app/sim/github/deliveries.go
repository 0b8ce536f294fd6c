package github

import (
	"encoding/json"
	"net/http"
	"strconv"
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

// listDeliveries pages by cursor, which is the id of the last delivery of the page before.
func (c *call) listDeliveries() (answer, error) {
	q := c.r.URL.Query()
	size := number(q.Get("per_page"), 30, 100)
	cursor, _ := strconv.ParseInt(q.Get("cursor"), 10, 64)
	list, header := []object{}, http.Header{}
	for _, d := range c.s.hooks.list() {
		if d.DeliveredAt.IsZero() || (cursor > 0 && d.ID >= cursor) || (q.Get("status") == "failure" && d.StatusCode >= 200 && d.StatusCode < 400) ||
			(q.Get("status") == "success" && (d.StatusCode < 200 || d.StatusCode >= 400)) {
			continue
		}
		if len(list) == size {
			last := strconv.FormatInt(list[size-1]["id"].(int64), 10)
			header.Set("Link", "<"+c.base+"/api/v3/app/hook/deliveries?per_page="+strconv.Itoa(size)+"&cursor="+last+`>; rel="next"`)
			break
		}
		list = append(list, d.json())
	}
	return answer{body: list, header: header}, nil
}

func (c *call) pathDelivery() (Delivery, error) {
	for _, d := range c.s.hooks.list() {
		if d.ID == c.id("delivery_id") && !d.DeliveredAt.IsZero() {
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
