package client_test

import "github.com/d3b0a776/switch/client"

// pendingFuncs is a Pending made of two functions, which get the correlation id.
type pendingFuncs struct {
	id       string
	answered func(*client.Delivery)
	lost     func(id string, err error)
}

func (a pendingFuncs) Answered(d *client.Delivery) { a.answered(d) }
func (a pendingFuncs) Lost(err error)              { a.lost(a.id, err) }
