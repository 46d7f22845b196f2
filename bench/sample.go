package main

import "maps"

// A sample is one measurement of one work on one system.
type sample struct {
	Work       string
	Peer       string
	Size       int `json:",omitempty"` // where the work is measured at several
	Round      int
	Operations int64              // that completed in the window
	Seconds    float64            // that the window lasted
	Bytes      int                `json:",omitempty"` // of each operation's body
	P50, P99   float64            `json:",omitempty"` // microseconds
	CPU        map[string]float64 `json:",omitempty"` // seconds of user and system time in the window, by role
	Footprint  *footprint         `json:",omitempty"`
	Missing    string             `json:",omitempty"` // why it was not measured: what is not installed
	Failed     string             `json:",omitempty"` // why there is no measurement
}

// A footprint is what a daemon takes without doing anything.
type footprint struct {
	StartMillis float64 // from exec to the first answered request
	IdleMiB     float64 // resident
	QueueKiB    float64 // for each empty queue
	ClientKiB   float64 // for each connected, idle client
}

// The roles whose CPU is counted. A producer counts as caller, a consumer as
// responder.
const (
	cpuBroker    = "broker"
	cpuResponder = "responder"
	cpuCaller    = "caller"
)

// measured says whether there is anything in it.
func (s *sample) measured() bool { return s.Missing == "" && s.Failed == "" }

// rate is in operations a second.
func (s *sample) rate() float64 { return float64(s.Operations) / s.Seconds }

// perHundredThousand is the CPU of a role, in seconds for 100,000 operations.
func (s *sample) perHundredThousand(role string) float64 {
	return s.CPU[role] / float64(s.Operations) * 1e5
}

// cpu is that of all roles together.
func (s *sample) cpu() float64 {
	var sum float64
	for role := range maps.Keys(s.CPU) {
		sum += s.perHundredThousand(role)
	}
	return sum
}

func (s *sample) brokerCPU() float64 { return s.perHundredThousand(cpuBroker) }
