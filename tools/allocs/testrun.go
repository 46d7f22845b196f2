package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// A testRun is one run of go test, for limits that stand together and name one
// package and one count.
type testRun struct {
	pkg    string
	count  int
	limits []limit
}

// measurement is what one operation of a benchmark allocated.
type measurement struct {
	ran    bool
	allocs int
	bytes  int
}

func runsOf(limits []limit) (runs []testRun) {
	for _, l := range limits {
		if n := len(runs); n == 0 || runs[n-1].pkg != l.pkg || runs[n-1].count != l.count {
			runs = append(runs, testRun{pkg: l.pkg, count: l.count})
		}
		last := &runs[len(runs)-1]
		last.limits = append(last.limits, l)
	}
	return runs
}

// measure runs the benchmarks. On one processor: how goroutines meet, and with it
// how many messages travel together, is then nearly the same in each run.
func (r *testRun) measure() (map[string]measurement, error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", r.pattern(), "-benchmem",
		"-benchtime", fmt.Sprintf("%dx", r.count), "-cpu", "1", "-timeout", "2m", r.pkg)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("the benchmarks of %s: %w\n%s", r.pkg, err, out)
	}
	return parseResults(string(out)), nil
}

// pattern matches the benchmarks of the limits and no others.
func (r *testRun) pattern() string {
	var patterns []string
	for _, l := range r.limits {
		names := strings.Split(l.benchmark, "/")
		for i, name := range names {
			names[i] = "^" + regexp.QuoteMeta(name) + "$"
		}
		patterns = append(patterns, strings.Join(names, "/"))
	}
	return strings.Join(patterns, "|")
}

// parseResults reads lines like "BenchmarkCall/1  200  1790 ns/op  3 B/op  0 allocs/op".
func parseResults(out string) map[string]measurement {
	results := map[string]measurement{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		bytes, hasBytes := valueOf(fields, "B/op")
		allocs, hasAllocs := valueOf(fields, "allocs/op")
		results[fields[0]] = measurement{ran: hasBytes && hasAllocs, allocs: allocs, bytes: bytes}
	}
	return results
}

// valueOf is the number that stands before its unit.
func valueOf(fields []string, unit string) (int, bool) {
	for i := 3; i < len(fields); i += 2 {
		if fields[i] == unit {
			n, err := strconv.Atoi(fields[i-1])
			return n, err == nil
		}
	}
	return 0, false
}
