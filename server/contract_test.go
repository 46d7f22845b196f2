package server_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/d3b0a776/switch/server"
)

// A contract is one case of the guarantees table: what anybody may rely on,
// whichever form of the protocol they speak and however they connect.
type contract struct {
	name   string
	config server.Config
	fake   bool // it needs time to pass, or is much work, so it plays in memory alone
	play   func(*scene)
}

// TestContract plays every contract in both forms over every transport. In
// memory, time is fake: no contract waits there.
func TestContract(t *testing.T) {
	for _, c := range slices.Concat(durabilityContracts, idempotencyContracts, leaseContracts, nackContracts, staleContracts, deathContracts,
		orderContracts, creditContracts, replyContracts, deadlineContracts, callContracts, startContracts, sessionContracts, resumeContracts, idContracts,
		queueContracts, limitContracts, overflowContracts, temporaryContracts, streamContracts, keyContracts) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, f := range forms {
				t.Run(f.name, func(t *testing.T) { c.over(t, f) })
			}
		})
	}
}

func (c *contract) over(t *testing.T, f form) {
	for _, via := range transports {
		switch {
		case via.fake:
			t.Run(via.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { c.play(newScene(t, f, via, c.config)) })
			})
		case !c.fake:
			t.Run(via.name, func(t *testing.T) { c.play(newScene(t, f, via, c.config)) })
		}
	}
}
