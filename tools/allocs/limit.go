package main

import (
	"fmt"
	"strconv"
	"strings"
)

// A limit is one line of the list: what one benchmark may allocate in one
// operation.
type limit struct {
	line      int // in the file
	pkg       string
	benchmark string // as go test prints it, with its sub-benchmarks
	count     int    // operations
	allocs    int
	bytes     int
}

// parseLimits reads a list. Its errors begin with the line.
func parseLimits(text string) (limits []limit, err error) {
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		l, err := parseLimit(fields)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
		l.line = i + 1
		limits = append(limits, l)
	}
	return limits, nil
}

func parseLimit(fields []string) (l limit, err error) {
	if len(fields) != 5 {
		return l, fmt.Errorf("%d columns, want package, benchmark, count, allocs/op and B/op", len(fields))
	}
	l.pkg, l.benchmark = fields[0], fields[1]
	for i, n := range []*int{&l.count, &l.allocs, &l.bytes} {
		if *n, err = strconv.Atoi(fields[2+i]); err != nil || *n < 0 {
			return l, fmt.Errorf("%q is not a number of something", fields[2+i])
		}
	}
	if l.count == 0 {
		return l, fmt.Errorf("%s is to run 0 times; nothing would be measured", l.benchmark)
	}
	return l, nil
}

// complaint says how a measurement breaks the limit; empty: it does not. A
// benchmark that has gone breaks it too, so that the list grows old loudly.
func (l *limit) complaint(m measurement) string {
	switch {
	case !m.ran:
		return "did not run; there is no such benchmark, or it reports no allocations"
	case m.allocs > l.allocs:
		return fmt.Sprintf("allocates %d times, at most %d are allowed", m.allocs, l.allocs)
	case m.bytes > l.bytes:
		return fmt.Sprintf("allocates %d bytes, at most %d are allowed", m.bytes, l.bytes)
	}
	return ""
}
