package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// brief is a duration in at most six letters: 12ms, 3.4s, 2m05s, 5h02m, 3d04h.
func brief(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + brief(-d)
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return fmt.Sprintf("%dµs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// byteSize is a number of bytes for people: 5 B, 1.5 KiB, 64 MiB.
func byteSize(n uint64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f /= 1 << 10; f < 1023.95 { // what would round up to 1024.0 is one of the next
			break
		}
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0") + " " + unit
}

// parseSize reads a number of bytes as people type it: 4096, 64KiB, 1.5GiB, 1MB.
func parseSize(s string) (uint64, error) {
	number := strings.TrimRightFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	unit := strings.ToLower(strings.TrimSpace(s[len(number):]))
	scale, ok := map[string]float64{
		"": 1, "b": 1,
		"k": 1 << 10, "kib": 1 << 10, "kb": 1e3,
		"m": 1 << 20, "mib": 1 << 20, "mb": 1e6,
		"g": 1 << 30, "gib": 1 << 30, "gb": 1e9,
	}[unit]
	f, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(f >= 0) || f*scale > 1<<53 {
		return 0, fmt.Errorf("%q is no number of bytes, such as 4096, 64KiB or 1.5GiB", s)
	}
	return uint64(f * scale), nil
}

// parseDuration reads a time as people type it, and says what a bare number
// lacks.
func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	switch _, bare := strconv.ParseFloat(s, 64); {
	case err == nil && d < 0:
		return 0, fmt.Errorf("%s is less than nothing", s)
	case err == nil:
		return d, nil
	case bare == nil:
		return 0, fmt.Errorf("%s of what? a time has a unit, such as %ss or %sms", s, s, s)
	}
	return 0, fmt.Errorf("%q is no time, such as 500ms, 10s or 1h30m", s)
}

// excerpt shows the beginning of a body of size bytes in at most width columns:
// quoted, with what would not print escaped. What has double quotes in it, as
// JSON has, stands between single ones.
func excerpt(body []byte, size uint64, width int) string {
	cut := uint64(len(body)) < size
	if cut {
		body = wholeRunes(body)
	}
	q, mark := strconv.Quote(string(body)), `"`
	if bytes.ContainsRune(body, '"') && !bytes.ContainsRune(body, '\'') {
		mark = "'"
		q = mark + strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`) + mark
	}
	if !cut && utf8.RuneCountInString(q) <= width {
		return q
	}
	return clip(strings.TrimSuffix(q, mark), width-1) + "…"
}

// wholeRunes leaves out a last letter that was cut in two.
func wholeRunes(b []byte) []byte {
	for i := len(b) - 1; i >= 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				return b[:i]
			}
			break
		}
	}
	return b
}

// clip is the beginning of s, at most so many letters.
func clip(s string, width int) string {
	for i := range s {
		if width == 0 {
			return s[:i]
		}
		width--
	}
	return s
}

// fit is s in at most width columns, with an ellipsis for what is missing.
func fit(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return clip(s, max(width-1, 0)) + "…"
}

// name shows a name that came from elsewhere: as it is if that is plain, else
// quoted.
func plain(name string) string {
	q := strconv.Quote(name)
	if name == "" || q != `"`+name+`"` || strings.ContainsAny(name, " \u00a0") {
		return q
	}
	return name
}

// plural is a number of things: 1 message, 2 messages.
func plural[N ~int | ~uint32 | ~uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "y") {
		thing = strings.TrimSuffix(thing, "y") + "ie"
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
