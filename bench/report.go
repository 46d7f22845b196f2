package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// The lines of a document that its tables are between.
const (
	markBegin = "<!-- bench:begin -->"
	markEnd   = "<!-- bench:end -->"
)

// reportCommand prints the tables of a file of results, or writes them into a
// document.
func reportCommand(args []string, out io.Writer) error {
	f := flag.NewFlagSet("bench report", flag.ContinueOnError)
	document := f.String("w", "", "write into `FILE`, between "+markBegin+" and "+markEnd)
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 {
		return errors.New("usage: go run . report [-w FILE] FILE.jsonl")
	}
	records, err := readJournal(f.Arg(0))
	if err != nil {
		return err
	}
	if *document == "" {
		return writeReport(out, records)
	}
	var text bytes.Buffer
	if err := writeReport(&text, records); err != nil {
		return err
	}
	return replaceBetween(*document, text.String())
}

// replaceBetween puts a text between the marks of a document.
func replaceBetween(document, text string) error {
	old, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, begun := strings.Cut(string(old), markBegin)
	_, after, ended := strings.Cut(rest, markEnd)
	if !begun || !ended {
		return fmt.Errorf("%s has no %s and %s", document, markBegin, markEnd)
	}
	return os.WriteFile(document, []byte(before+markBegin+"\n"+text+markEnd+after), 0o644)
}

// A report is what records say.
type report struct {
	runs    []*preface
	ends    []string // the load at the end of each run; shorter if one was cut off
	samples map[string]map[subject][]*sample
}

func newReport(records []record) *report {
	r := &report{samples: make(map[string]map[subject][]*sample)}
	for _, rec := range records {
		switch {
		case rec.Header != nil:
			r.runs = append(r.runs, rec.Header)
			r.ends = append(r.ends, "cut off")
		case rec.Footer != nil && len(r.ends) > 0:
			r.ends[len(r.ends)-1] = rec.Footer.Load
		case rec.Sample != nil:
			s := rec.Sample
			if r.samples[s.Work] == nil {
				r.samples[s.Work] = make(map[subject][]*sample)
			}
			key := subject{s.Peer, s.Size}
			r.samples[s.Work][key] = append(r.samples[s.Work][key], s)
		}
	}
	return r
}

// writeReport writes Markdown.
func writeReport(out io.Writer, records []record) error {
	r := newReport(records)
	if len(r.runs) == 0 {
		return errors.New("there is nothing to report")
	}
	var b strings.Builder
	r.preface(&b)
	all := r.works()
	r.bars(&b, all)
	for _, w := range all {
		r.table(&b, w)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// works are those that have samples, with the sizes that were measured.
func (r *report) works() []*work {
	p := &plan{scale: fullScale, backlog: defaultBacklog}
	for name, size := range map[string]*int{
		"growth-queues":    &p.scale.ManyQueues,
		"growth-consumers": &p.scale.Consumers,
		"growth-backlog":   &p.backlog,
	} {
		if of := r.samples[name]; len(of) > 0 {
			*size = 0
			for key := range of {
				*size = max(*size, key.size)
			}
		}
	}
	return slices.DeleteFunc(works(p), func(w *work) bool { return r.samples[w.name] == nil })
}

func (r *report) preface(b *strings.Builder) {
	last := r.runs[len(r.runs)-1]
	fmt.Fprintf(b, "%d cores of %s, %s, %s. Versions: %s.\n\n", last.Cores, last.CPU, last.Kernel, last.Disk, versionText(last))
	b.WriteString("| run | begun (UTC) | rounds | window | load average at the start | at the end |\n|---|---|---|---|---|---|\n")
	for i, run := range r.runs {
		fmt.Fprintf(b, "| `cd bench && %s` | %s | %d | %v | %s | %s |\n", run.Command, run.Date.Format(time.DateTime), run.Rounds, run.Window, run.Load, r.ends[i])
	}
	b.WriteString("\n")
}

func versionText(h *preface) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(h.Programs)) {
		texts = append(texts, name+" "+h.Programs[name])
	}
	for _, path := range slices.Sorted(maps.Keys(h.Modules)) {
		texts = append(texts, strings.TrimPrefix(path, "github.com/")+" "+h.Modules[path])
	}
	return strings.Join(texts, "; ")
}

// bars writes one line for each bar.
func (r *report) bars(b *strings.Builder, all []*work) {
	b.WriteString("| work | measured | switch | beside | | ratio | bar | met |\n|---|---|---|---|---|---|---|---|\n")
	for _, w := range all {
		for _, bar := range w.bars {
			fmt.Fprintf(b, "| %s | %s | %s |\n", w.title, bar.metric.name, strings.Join(r.verdict(w, bar), " | "))
		}
	}
	b.WriteString("\n")
}

// verdict is the cells of a bar: switch, beside, its number, ratio, bar, met.
func (r *report) verdict(w *work, bar bar) []string {
	ours, why := r.measured(w, bar.of)
	if why != "" {
		return []string{why, "", "", "", bar.limit.text(""), "–"}
	}
	mid, _, _ := bar.metric.middle(ours)
	text := func(x float64) string { return number(x, digitsFor(x)) + bar.metric.unit }
	if bar.beside.peer == "" {
		return []string{text(mid), "", "", "", bar.limit.text(bar.metric.unit), yes(bar.limit.met(mid))}
	}
	theirs, why := r.measured(w, bar.beside)
	if why != "" {
		return []string{text(mid), bar.beside.String(), why, "", bar.limit.text(times), "–"}
	}
	other, _, _ := bar.metric.middle(theirs)
	ratio := mid / other
	return []string{text(mid), bar.beside.String(), text(other), number(ratio, 2) + times, bar.limit.text(times), yes(bar.limit.met(ratio))}
}

// digitsFor is how many digits after the point are worth reading.
func digitsFor(x float64) int {
	switch {
	case x < 10:
		return 2
	case x < 100:
		return 1
	default:
		return 0
	}
}

func yes(met bool) string {
	if met {
		return "yes"
	}
	return "**no**"
}

// notRun is why there are no samples of what the plan left out.
const notRun = "not run"

// measured answers the samples of a subject, or why there are none.
func (r *report) measured(w *work, of subject) (samples []*sample, why string) {
	why = notRun
	for _, s := range r.samples[w.name][of] {
		switch {
		case s.measured():
			samples = append(samples, s)
		case s.Missing != "":
			why = s.Missing
		default:
			why = "failed"
		}
	}
	if len(samples) > 0 {
		why = ""
	}
	return samples, why
}

// table writes what was measured of a work.
func (r *report) table(b *strings.Builder, w *work) {
	columns := slices.Concat(w.columns, r.ratioColumn(w))
	fmt.Fprintf(b, "### %s%s\n\n| system |", strings.ToUpper(w.title[:1]), w.title[1:])
	for _, c := range columns {
		fmt.Fprintf(b, " %s |", c.title)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, of := range w.runs {
		key := subject{of.peer, of.size}
		samples, why := r.measured(w, key)
		if why == notRun {
			continue
		}
		cells := make([]string, len(columns))
		cells[0] = why
		for i := range cells {
			if why == "" {
				cells[i] = columns[i].cell(samples)
			}
		}
		fmt.Fprintf(b, "| %s | %s |\n", key, strings.Join(cells, " | "))
	}
	b.WriteString("\n")
}

// ratioColumn compares every system of a work with the one that the first bar is
// beside. There is none if that was not measured.
func (r *report) ratioColumn(w *work) []column {
	first := w.bars[0]
	if first.beside.peer == "" {
		return nil
	}
	theirs, why := r.measured(w, first.beside)
	if why != "" {
		return nil
	}
	reference, _, _ := first.metric.middle(theirs)
	return []column{{fmt.Sprintf("%s, × %s", first.metric.name, first.beside), func(s []*sample) string {
		mid, _, _ := first.metric.middle(s)
		return number(mid/reference, 2)
	}}}
}
