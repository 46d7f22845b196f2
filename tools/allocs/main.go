// Command allocs runs benchmarks a fixed number of times and fails if one of them
// allocates more than its limit, in number or in bytes. It looks at no clock, so a
// busy machine gives the same verdict as an idle one.
//
//	allocs LIMITS
//
// The working directory is the module's root. A line of LIMITS is a package, a
// benchmark, how often to run it, and what one operation may allocate: allocations
// and bytes. A line that begins with # is a comment.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
)

func main() {
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "allocs:", err)
		os.Exit(1)
	}
}

func run(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	limits, err := parseLimits(string(text))
	if err != nil {
		return fmt.Errorf("%s:%w", file, err)
	}
	fmt.Printf(row, "package", "benchmark", "allocs/op", "limit", "B/op", "limit", "")
	var broken []string
	for _, r := range runsOf(limits) {
		measured, err := r.measure()
		if err != nil {
			return err
		}
		for _, l := range r.limits {
			complaint := l.complaint(measured[l.benchmark])
			if complaint != "" {
				broken = append(broken, fmt.Sprintf("%s:%d: %s %s", file, l.line, l.benchmark, complaint))
			}
			m := measured[l.benchmark]
			fmt.Printf(row, l.pkg, l.benchmark, m.allocs, l.allocs, m.bytes, l.bytes, mark(complaint))
		}
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d of %d limits are broken:\n  %s\n%s", len(broken), len(limits), strings.Join(broken, "\n  "), advice)
	}
	fmt.Printf("all %d limits hold\n", len(limits))
	return nil
}

// row is a line of the table.
const row = "%-24v %-32v %10v %7v %10v %7v  %s\n"

func mark(complaint string) string {
	if complaint == "" {
		return ""
	}
	return "TOO MUCH"
}

const advice = `Find what allocates with 'go test -run ^$ -bench NAME -benchtime COUNTx -cpu 1 -memprofile mem.out -memprofilerate 1 PACKAGE'.
If it is worth it, raise the limit in its line, and say why in the commit.`
