package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A format is what -o asks for.
type format string

// The formats. Each verb takes those that make sense for it; its help says
// which, the first being the default.
const (
	formatTable format = "table" // for people; off a terminal tab-separated, without a head
	formatJSON  format = "json"  // one indented document
	formatJSONL format = "jsonl" // one document a line, as they come
	formatRaw   format = "raw"   // bodies as they are
)

// A formatValue is the flag -o of a verb.
type formatValue struct {
	sh  *shell
	may []format
}

// Set is part of flag.Value.
func (v *formatValue) Set(s string) error {
	if !slices.Contains(v.may, format(s)) {
		return fmt.Errorf("%q is none of %s", s, v.names())
	}
	v.sh.format = format(s)
	return nil
}

// String is part of flag.Value.
func (v *formatValue) String() string { return string(v.sh.format) }

func (v *formatValue) names() string {
	names := make([]string, len(v.may))
	for i, f := range v.may {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// outputFlag is -o for a verb that has these formats, the first one if nothing
// is said.
func (sh *shell) outputFlag(may ...format) cli.Flag {
	v := &formatValue{sh: sh, may: may}
	return &cli.GenericFlag{
		Name: "output", Aliases: []string{"o"}, Value: v, DefaultText: string(may[0]),
		Usage: "`FORMAT`: how to print: " + v.names(),
	}
}

// json writes one document: indented for -o json, on one line for -o jsonl.
func (sh *shell) json(doc any) error {
	enc := json.NewEncoder(sh.out)
	enc.SetEscapeHTML(false)
	if sh.format == formatJSON {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(doc)
}

// jsonList writes documents: as one array for -o json, one a line for -o jsonl.
func jsonList[T any](sh *shell, docs []T) error {
	if sh.format == formatJSON {
		return sh.json(append([]T{}, docs...)) // never null
	}
	for _, d := range docs {
		if err := sh.json(d); err != nil {
			return err
		}
	}
	return nil
}

// wantsJSON reports whether -o asks for JSON of either form.
func (sh *shell) wantsJSON() bool {
	return sh.format == formatJSON || sh.format == formatJSONL
}

// done tells that a verb did what it was to do: as a document on stdout when
// JSON was asked for, else in words on stderr.
func (sh *shell) done(doc any, format string, args ...any) error {
	if sh.wantsJSON() {
		return sh.json(doc)
	}
	sh.notice(format, args...)
	return nil
}
