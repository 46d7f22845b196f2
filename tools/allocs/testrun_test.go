package main

import "testing"

// What go test prints, with metrics of the benchmark's own in between.
const printed = `goos: linux
BenchmarkCall/1         	   20000	      2010 ns/op	      2010.5 ns/call	       3 B/op	       1 allocs/op
BenchmarkSilent         	   20000	      2010 ns/op
PASS
`

func TestParseResults(t *testing.T) {
	got := parseResults(printed)
	if want := (measurement{true, 1, 3}); got["BenchmarkCall/1"] != want {
		t.Errorf("%+v, want %+v", got["BenchmarkCall/1"], want)
	}
	if got["BenchmarkSilent"].ran || got["BenchmarkGone"].ran {
		t.Error("a benchmark without allocations was measured")
	}
}

func TestRuns(t *testing.T) {
	runs := runsOf([]limit{
		{pkg: "./a", benchmark: "BenchmarkA/x=1", count: 1},
		{pkg: "./a", benchmark: "BenchmarkB", count: 1},
		{pkg: "./a", benchmark: "BenchmarkB", count: 2},
		{pkg: "./b", benchmark: "BenchmarkB", count: 2},
	})
	if len(runs) != 3 {
		t.Fatalf("%d runs, want 3", len(runs))
	}
	if got, want := runs[0].pattern(), "^BenchmarkA$/^x=1$|^BenchmarkB$"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
