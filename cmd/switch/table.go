package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A table is rows under a head. On a terminal its columns are aligned, and the
// last one is cut to what the terminal has room for; elsewhere it is plain:
// no head, one tab between columns, nothing cut.
type table struct {
	sh    *shell
	heads []string // a name that begins with ">" is of a column of numbers
	rows  [][]string
}

func (sh *shell) table(heads ...string) *table {
	return &table{sh: sh, heads: heads}
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// print writes the table; nothing when it has no rows.
func (t *table) print() error {
	if len(t.rows) == 0 {
		return nil
	}
	if !t.sh.outTerm {
		for _, r := range t.rows {
			if _, err := fmt.Fprintln(t.sh.out, strings.Join(r, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	return t.draw(t.sh.out, t.sh.width)
}

// draw writes the table with aligned columns, two blanks between them.
func (t *table) draw(w io.Writer, width int) error {
	heads := make([]string, len(t.heads))
	for i, h := range t.heads {
		heads[i] = strings.TrimPrefix(h, ">")
	}
	widths := columnWidths(append([][]string{heads}, t.rows...))
	var b strings.Builder
	if head := t.line(heads, widths, width); head != "" {
		b.WriteString(t.sh.faint(head) + "\n")
	}
	for _, r := range t.rows {
		b.WriteString(t.line(r, widths, width) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line is one row; what is beyond width is cut.
func (t *table) line(cells []string, widths []int, width int) string {
	var b strings.Builder
	for i, c := range cells {
		blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
		if strings.HasPrefix(t.heads[i], ">") {
			c = blank + c
		} else {
			c += blank
		}
		if i > 0 {
			b.WriteString("  ")
		}
		b.WriteString(c)
	}
	return fit(strings.TrimRight(b.String(), " "), width)
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	return widths
}

// faint and strong set text off on a terminal that can.
func (sh *shell) faint(s string) string  { return sh.styled("2", s) }
func (sh *shell) strong(s string) string { return sh.styled("1", s) }

func (sh *shell) styled(how, s string) string {
	if !sh.colour || s == "" {
		return s
	}
	return "\x1b[" + how + "m" + s + "\x1b[0m"
}
