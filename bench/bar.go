package main

import (
	"fmt"
	"slices"
)

// A bar is how good the switch has to be.
type bar struct {
	of     subject
	beside subject // its zero: alone, against a number
	metric metric
	limit  limit
}

// A subject is whose samples are looked at.
type subject struct {
	peer string
	size int // zero: the work has no sizes
}

// sizeEmpty is the size of nothing.
const sizeEmpty = -1

func (s subject) String() string {
	title := peerNamed(s.peer).title
	switch s.size {
	case 0:
		return title
	case sizeEmpty:
		return title + " at none"
	default:
		return title + " at " + count(s.size)
	}
}

// A metric is one number of a sample.
type metric struct {
	name string
	unit string
	of   func(*sample) float64
}

var (
	rate      = metric{"per second", "/s", (*sample).rate}
	median    = metric{"p50", " µs", func(s *sample) float64 { return s.P50 }}
	brokerCPU = metric{"daemon CPU", " s/100k", (*sample).brokerCPU}

	startMillis = metric{"start-up to the first answer", " ms", func(s *sample) float64 { return s.Footprint.StartMillis }}
	idleMiB     = metric{"resident, idle", " MiB", func(s *sample) float64 { return s.Footprint.IdleMiB }}
	queueKiB    = metric{"per empty queue", " KiB", func(s *sample) float64 { return s.Footprint.QueueKiB }}
	clientKiB   = metric{"per idle client", " KiB", func(s *sample) float64 { return s.Footprint.ClientKiB }}
)

// A limit is between two numbers; zero is none.
type limit struct{ least, most float64 }

func atLeast(x float64) limit { return limit{least: x} }
func atMost(x float64) limit  { return limit{most: x} }

func (l limit) met(x float64) bool { return x >= l.least && (l.most == 0 || x <= l.most) }

func (l limit) text(unit string) string {
	switch {
	case l.most == 0:
		return fmt.Sprintf("≥ %g%s", l.least, unit)
	case l.least == 0:
		return fmt.Sprintf("≤ %g%s", l.most, unit)
	default:
		return fmt.Sprintf("%g–%g%s", l.least, l.most, unit)
	}
}

// times is the unit of ratios.
const times = " ×"

// beside compares two systems.
func beside(of, other string, m metric, l limit) bar {
	return bar{of: subject{peer: of}, beside: subject{peer: other}, metric: m, limit: l}
}

// alone compares a system with a number.
func alone(of string, m metric, l limit) bar {
	return bar{of: subject{peer: of}, metric: m, limit: l}
}

// How far the cost of a message may move when something grows.
const (
	flatLeast = 0.85
	flatMost  = 1.15
)

// flat compares the cost of a message at two sizes.
func flat(peer string, large, small int) bar {
	return bar{of: subject{peer, large}, beside: subject{peer, small}, metric: brokerCPU, limit: limit{flatLeast, flatMost}}
}

// middle is the median of a metric, and between what it lies.
func (m metric) middle(samples []*sample) (mid, low, high float64) {
	var values []float64
	for _, s := range samples {
		values = append(values, m.of(s))
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]
}
