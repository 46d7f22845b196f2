// Command instructions counts the instructions that the hot paths take in user
// mode, in the tree that it runs in and in an earlier revision, and says where the
// difference is. It looks at no clock, so a busy machine counts as an idle one.
//
//	instructions [-most RATIO] REVISION
//
// The working directory is the module's root. Valgrind, which does the counting,
// must be installed. The benchmarks of the revision must be those of today.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	most := flag.Float64("most", 0, "fail if a work takes more than this many times the revision's instructions; 0 never does")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *most); err != nil {
		fmt.Fprintln(os.Stderr, "instructions:", err)
		os.Exit(1)
	}
}

func run(revision string, most float64) error {
	scratch, err := os.MkdirTemp("", "instructions")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	before := tree{dir: scratch + "/tree", scratch: scratch}
	if err := before.checkOut(revision); err != nil {
		return err
	}
	defer before.remove()
	now := tree{dir: ".", scratch: scratch}
	fmt.Printf(row, "work", "package", revision, "now", "ratio")
	var over []string
	for _, w := range works {
		was, err := before.count(w)
		if err != nil {
			return err
		}
		is, err := now.count(w)
		if err != nil {
			return err
		}
		w.print(was, is)
		if ratio := is.total() / was.total(); most > 0 && ratio > most {
			over = append(over, fmt.Sprintf("%s takes %.2f times the instructions of %s", w.name, ratio, revision))
		}
	}
	if len(over) > 0 {
		return fmt.Errorf("%v: more than %.2f", over, most)
	}
	return nil
}
