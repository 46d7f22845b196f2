package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mustJSON(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return "null"
	}
	text, err := json.Marshal(complain(err))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load is a sample of so many operations in a second.
func load(work, peer string, operations int64) record {
	return record{Sample: &sample{Work: work, Peer: peer, Operations: operations, Seconds: 1, P50: 100, P99: 200,
		CPU: map[string]float64{cpuBroker: 0.5, cpuCaller: 0.25}}}
}

func TestReport(t *testing.T) {
	records := []record{
		{Header: &preface{Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "go run .", Rounds: 3, Window: time.Second, Cores: 2, CPU: "a CPU",
			Kernel: "Linux", Disk: "ext4 on /dev/vda", Load: "1.0 1.0 1.0", Programs: map[string]string{"go": "1.26"}}},
		load("calls-64", "switch", 200_000), load("calls-64", "nats", 100_000),
		load("calls-64", "switch", 230_000), load("calls-64", "nats", 110_000),
		load("calls-64", "switch", 250_000), load("calls-64", "nats", 120_000),
		load("durable-sends", "switch-durable", 15_000), load("durable-sends", "redis", 10_000),
		{Sample: &sample{Work: "durable-sends", Peer: "rabbitmq", Missing: "not installed: apt-get install rabbitmq-server"}},
		{Footer: &footer{Load: "2.0 1.0 1.0"}},
	}
	var b strings.Builder
	if err := writeReport(&b, records); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| 1.0 1.0 1.0 | 2.0 1.0 1.0 |",
		"| 230,000/s | NATS core | 110,000/s | 2.09 × | ≥ 2 × | yes |",
		"| 15,000/s | Redis, sync always | 10,000/s | 1.50 × | ≥ 2 × | **no** |",
		"| RabbitMQ, quorum queue | not installed: apt-get install rabbitmq-server |  | ≥ 4 × | – |",
		"| switch | 230,000 (200,000–250,000) | 100 | 200 | 0.33 = 0.22 + – + 0.11 | 2.09 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(b.String())
	}
}

func TestReplaceBetween(t *testing.T) {
	name := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + markBegin + "\nold\n" + markEnd + "\nafter\n")
	if err := replaceBetween(name, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if want := "before\n" + markBegin + "\nnew\n" + markEnd + "\nafter\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	write("before\n" + markEnd + markBegin)
	if err := replaceBetween(name, "new\n"); err == nil {
		t.Error("marks in the wrong order were accepted")
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		limit limit
		x     float64
		met   bool
		text  string
	}{
		{atLeast(2), 2, true, "≥ 2 ×"},
		{atLeast(2), 1.99, false, "≥ 2 ×"},
		{atMost(1), 1, true, "≤ 1 ×"},
		{atMost(1), 1.01, false, "≤ 1 ×"},
		{limit{flatLeast, flatMost}, 0.84, false, "0.85–1.15 ×"},
		{limit{flatLeast, flatMost}, 1.16, false, "0.85–1.15 ×"},
		{limit{flatLeast, flatMost}, 1, true, "0.85–1.15 ×"},
	} {
		if met, text := c.limit.met(c.x), c.limit.text(times); met != c.met || text != c.text {
			t.Errorf("%s with %v: %v, %s", c.text, c.x, met, text)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		x      float64
		digits int
		want   string
	}{{0, 0, "0"}, {999, 0, "999"}, {1000, 0, "1,000"}, {1234567.891, 2, "1,234,567.89"}, {-1234.5, 1, "-1,234.5"}} {
		if got := number(c.x, c.digits); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
