package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A column of a work's table.
type column struct {
	title string
	cell  func(samples []*sample) string // of one system, in all rounds
}

var (
	rateColumn = column{"per second (min–max)", func(s []*sample) string { return rangeText(rate, s, 0) }}
	p50Column  = column{"p50 µs", func(s []*sample) string { return midText(median, s, 0) }}
	p99Column  = column{"p99 µs", func(s []*sample) string {
		return midText(metric{of: func(s *sample) float64 { return s.P99 }}, s, 0)
	}}
	cpuColumn = column{"CPU-s per 100,000 = broker + responder + caller", cpuText}

	loadColumns = []column{rateColumn, p50Column, p99Column, cpuColumn}
	flowColumns = []column{rateColumn, {"CPU-s per 100,000 = broker + consumer + producer", cpuText}}

	growthColumns = []column{
		{"daemon CPU-s per 100,000 (min–max)", func(s []*sample) string { return rangeText(brokerCPU, s, 2) }},
		rateColumn, p50Column, p99Column,
	}
	payloadColumns = []column{
		{"MiB per second", func(s []*sample) string {
			return midText(metric{of: func(s *sample) float64 { return s.rate() * float64(s.Bytes) / mebibyte }}, s, 0)
		}},
		rateColumn, p50Column, p99Column, cpuColumn,
	}
	footprintColumns = []column{
		{"start-up, ms (min–max)", func(s []*sample) string { return rangeText(startMillis, s, 0) }},
		{"idle, MiB", func(s []*sample) string { return midText(idleMiB, s, 1) }},
		{"per empty queue, KiB", func(s []*sample) string { return midText(queueKiB, s, 2) }},
		{"per idle client, KiB", func(s []*sample) string { return midText(clientKiB, s, 1) }},
	}
)

func midText(m metric, samples []*sample, digits int) string {
	mid, _, _ := m.middle(samples)
	return number(mid, digits)
}

func rangeText(m metric, samples []*sample, digits int) string {
	mid, low, high := m.middle(samples)
	return fmt.Sprintf("%s (%s–%s)", number(mid, digits), number(low, digits), number(high, digits))
}

// cpuText is the sum and its parts; each is a median of its own. A dash is who
// takes no part.
func cpuText(samples []*sample) string {
	var parts []string
	for _, role := range []string{cpuBroker, cpuResponder, cpuCaller} {
		if _, ok := samples[0].CPU[role]; !ok {
			parts = append(parts, "–")
			continue
		}
		m := metric{of: func(s *sample) float64 { return s.perHundredThousand(role) }}
		parts = append(parts, midText(m, samples, 2))
	}
	return midText(metric{of: (*sample).cpu}, samples, 2) + " = " + strings.Join(parts, " + ")
}

// count writes a whole number with commas.
func count(n int) string { return number(float64(n), 0) }

// number writes a number with commas between thousands.
func number(x float64, digits int) string {
	text := strconv.FormatFloat(x, 'f', digits, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	sign := ""
	if rest, ok := strings.CutPrefix(whole, "-"); ok {
		sign, whole = "-", rest
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}
