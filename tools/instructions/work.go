package main

import (
	"fmt"
	"sort"
	"strings"
)

// A work is a benchmark whose instructions are counted: the difference between many
// iterations and few, so that what comes before and after is left out.
type work struct {
	name      string // of one operation, for people
	pkg       string
	benchmark string
	few, many int // iterations
	ops       int // operations of an iteration
}

var works = []work{
	{"call: two clients and the switch", "./rpc", "^BenchmarkCall$/^callers=64$", 2000, 10000, 2}, // with a deadline and without
	{"call: the switch and the wire", "./server", "^BenchmarkStream$/^calls$", 500, 5500, 64},
	{"call: the core", "./server/internal/queue", "^BenchmarkCall$/^64$", 500, 5500, 64},
	{"send: the switch and the wire", "./server", "^BenchmarkStream$/^sends$", 500, 5500, 64},
}

// counts are instructions by package, of one operation.
type counts map[string]float64

func (c counts) total() (sum float64) {
	for _, n := range c {
		sum += n
	}
	return sum
}

// row is a line of the table.
const row = "%-34v %-46v %12v %9v %7v\n"

// module is left out of its packages' names.
const module = "github.com/d3b0a776/switch/"

// worthALine is the share of the total from which a package has a line of its own.
const worthALine = 0.01

// print tells what a work takes, and the packages that take most.
func (w *work) print(was, is counts) {
	line := func(name, pkg string, was, is float64) {
		ratio := "–"
		if was > 0 {
			ratio = fmt.Sprintf("%.2f", is/was)
		}
		fmt.Printf(row, name, strings.TrimPrefix(pkg, module), fmt.Sprintf("%.0f", was), fmt.Sprintf("%.0f", is), ratio)
	}
	line(w.name, "all", was.total(), is.total())
	var pkgs []string
	for pkg, n := range was {
		if max(n, is[pkg]) > worthALine*was.total() {
			pkgs = append(pkgs, pkg)
		}
	}
	for pkg, n := range is {
		if _, old := was[pkg]; !old && n > worthALine*is.total() {
			pkgs = append(pkgs, pkg)
		}
	}
	sort.Slice(pkgs, func(i, j int) bool { return was[pkgs[i]] > was[pkgs[j]] })
	for _, pkg := range pkgs {
		line("", pkg, was[pkg], is[pkg])
	}
}
