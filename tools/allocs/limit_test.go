package main

import (
	"strings"
	"testing"
)

// The least over a limit breaks it, and so does a benchmark that has gone.
func TestComplaint(t *testing.T) {
	l := limit{benchmark: "BenchmarkCall", allocs: 10, bytes: 100}
	for want, m := range map[string]measurement{
		"":                            {ran: true, allocs: 10, bytes: 100},
		"allocates 11 times, at most": {ran: true, allocs: 11},
		"allocates 101 bytes":         {ran: true, bytes: 101},
		"did not run":                 {},
	} {
		got := l.complaint(m)
		if !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%+v: %q, want %q", m, got, want)
		}
	}
}

func TestParseLimits(t *testing.T) {
	limits, err := parseLimits("# why\n\n./a  BenchmarkA/b  1000  2  300\n")
	if want := (limit{3, "./a", "BenchmarkA/b", 1000, 2, 300}); err != nil || len(limits) != 1 || limits[0] != want {
		t.Errorf("%+v, %v", limits, err)
	}
	for _, bad := range []string{"./a BenchmarkA 1 2", "./a BenchmarkA 1 2 3 4", "./a BenchmarkA x 2 3", "./a BenchmarkA 1 -2 3", "./a BenchmarkA 0 2 3"} {
		if _, err := parseLimits("\n" + bad); err == nil || !strings.HasPrefix(err.Error(), "2: ") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
