package client_test

import "github.com/d3b0a776/switch/client"

// pendingFuncs is a Pending made of two functions, which get the correlation id.
type pendingFuncs struct {
	id       string
	answered func(id string, r client.Reply)
	lost     func(id string, err error)
}

func (a pendingFuncs) Answered(r client.Reply) { a.answered(a.id, r) }
func (a pendingFuncs) Lost(err error)          { a.lost(a.id, err) }
