package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// readProfile adds up what callgrind's format, version 1, says of the packages'
// functions themselves, without those that they call.
func readProfile(r io.Reader) (counts, error) {
	c, names := counts{}, map[string]string{}
	var pkg string
	called := false // the next line is what a call has cost
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		key, value, isSpec := strings.Cut(line, "=")
		switch {
		case isSpec && (key == "fn" || key == "cfn"):
			id, name, said := strings.Cut(value, " ")
			if said {
				names[id] = name
			}
			if key == "fn" {
				pkg = packageOf(names[id])
			}
		case isSpec && key == "calls":
			called = true
		case line == "" || isSpec || !strings.ContainsRune("0123456789+-*", rune(line[0])):
		case called:
			called = false
		default:
			_, cost, _ := strings.Cut(line, " ")
			n, err := strconv.ParseFloat(cost, 64)
			if err != nil {
				return nil, fmt.Errorf("a profile with the line %q: %w", line, err)
			}
			c[pkg] += n
		}
	}
	return c, lines.Err()
}

// packageOf is the package of a function by its full name. Assembly has names of its
// own, nearly all of them the runtime's.
func packageOf(function string) string {
	function = strings.TrimPrefix(strings.TrimPrefix(function, "type:.eq."), "type:.hash.")
	function, _, _ = strings.Cut(function, "[") // types have packages of their own
	slash := strings.LastIndexByte(function, '/')
	dot := strings.IndexByte(function[slash+1:], '.')
	if dot < 0 {
		return "runtime"
	}
	return function[:slash+1+dot]
}
