package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestBrief(t *testing.T) {
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "0s"},
		{time.Microsecond, "1µs"},
		{999 * time.Microsecond, "999µs"},
		{12 * time.Millisecond, "12ms"},
		{999_900 * time.Microsecond, "999ms"},
		{time.Second, "1.0s"},
		{3490 * time.Millisecond, "3.4s"},
		{9_990 * time.Millisecond, "9.9s"},
		{12_900 * time.Millisecond, "12s"},
		{2*time.Minute + 5*time.Second, "2m05s"},
		{5*time.Hour + 2*time.Minute, "5h02m"},
		{76 * time.Hour, "3d04h"},
		{-time.Second, "-1.0s"},
	} {
		if got := brief(c.d); got != c.want {
			t.Errorf("brief(%v) = %q, want %q", c.d, got, c.want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for _, c := range []struct {
		n    uint64
		want string
	}{
		{0, "0 B"}, {1023, "1023 B"}, {1024, "1 KiB"}, {1536, "1.5 KiB"}, {1<<20 - 1, "1 MiB"}, {1 << 20, "1 MiB"},
		{64 << 20, "64 MiB"}, {1 << 30, "1 GiB"}, {5 << 40, "5 TiB"}, {5000 << 40, "5000 TiB"},
	} {
		if got := byteSize(c.n); got != c.want {
			t.Errorf("byteSize(%d) = %q, want %q", c.n, got, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]uint64{
		"0": 0, "4096": 4096, "5B": 5, "64KiB": 64 << 10, "64k": 64 << 10, "1.5 GiB": 3 << 29, "1MB": 1e6, "1 MiB": 1 << 20,
	} {
		if got, err := parseSize(s); err != nil || got != want {
			t.Errorf("parseSize(%q) = %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "x", "-1", "1 parsec", "KiB", "NaN", "1e99GiB", "99999999 GiB", "--5"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("parseSize(%q) = %d, want an error", s, got)
		}
	}
}

func TestParseDuration(t *testing.T) {
	if d, err := parseDuration("1m30s"); err != nil || d != 90*time.Second {
		t.Errorf("1m30s is %v, %v", d, err)
	}
	for s, want := range map[string]string{
		"5": "5 of what? a time has a unit, such as 5s or 5ms", "-1s": "-1s is less than nothing",
		"soon": `"soon" is no time, such as 500ms, 10s or 1h30m`,
	} {
		if _, err := parseDuration(s); err == nil || err.Error() != want {
			t.Errorf("parseDuration(%q): %v, want %s", s, err, want)
		}
	}
}

func TestExcerpt(t *testing.T) {
	for _, c := range []struct {
		body  string
		size  int // 0: the body's
		width int
		want  string
	}{
		{"", 0, 10, `""`},
		{"hello", 0, 10, `"hello"`},
		{"hello", 0, 7, `"hello"`},
		{"hello", 0, 6, `"hell…`},
		{"a\tb\x00\x1b[2J", 0, 40, `"a\tb\x00\x1b[2J"`},
		{"hel", 5, 10, `"hel…`},
		{"hé\xc3", 5, 10, `"hé…`}, // the prefix ends within a letter
		{"\xff\xfe", 0, 20, `"\xff\xfe"`},
		{`{"a": "b\n"}`, 0, 40, `'{"a": "b\\n"}'`},
		{`say "it's"`, 0, 40, `"say \"it's\""`},
		{"höhö", 0, 6, `"höhö"`},
	} {
		size := c.size
		if size == 0 {
			size = len(c.body)
		}
		if got := excerpt([]byte(c.body), uint64(size), c.width); got != c.want {
			t.Errorf("excerpt(%q, %d, %d) = %s, want %s", c.body, size, c.width, got, c.want)
		}
	}
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("hé\xc3"), uint(3), 10)
	f.Fuzz(func(t *testing.T, body []byte, more uint, width int) {
		width = 3 + (width&0xff)%200
		got := excerpt(body, uint64(len(body))+uint64(more%2), width)
		if n := utf8.RuneCountInString(got); n > width {
			t.Errorf("%q takes %d columns of %d", got, n, width)
		}
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\n\t\x1b") {
			t.Errorf("%q would not print on a line", got)
		}
	})
}

func TestPlain(t *testing.T) {
	for name, want := range map[string]string{
		"foo": "foo", "a/b%c:d": "a/b%c:d", "": `""`, "a b": `"a b"`, "ä": "ä", "x\u202ey": `"x\u202ey"`, "\x1b": `"\x1b"`,
	} {
		if got := plain(name); got != want {
			t.Errorf("plain(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"call", "list", "diagnostics", "destroy", "b", "body"}
	for typed, want := range map[string]string{
		"calll": "call", "clal": "call", "lst": "list", "diag": "diagnostics", "bdoy": "body", "xyz": "", "": "", "d": "", "ist": "list",
	} {
		if got := nearest(typed, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", typed, got, want)
		}
	}
}

func TestQuoteWord(t *testing.T) {
	for w, want := range map[string]string{
		"foo": "foo", "": "''", "a b": "'a b'", "it's": `'it'\''s'`, "$x": "'$x'", "unix:///run/s": "unix:///run/s", "a;b": "'a;b'",
	} {
		if got := quoteWord(w); got != want {
			t.Errorf("quoteWord(%q) = %s, want %s", w, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for want, got := range map[string]string{
		"0 messages": plural(0, "message"), "1 message": plural(1, "message"), "2 replies": plural(2, "reply"), "1 reply": plural(1, "reply"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTableOnATerminal(t *testing.T) {
	var b strings.Builder
	sh := &shell{out: &b, outTerm: true, width: 30}
	tab := sh.table("QUEUE", ">WAITING", "BODY")
	tab.row("foo", "1", `"hello"`)
	tab.row("länger", "1200", `"a body that is too wide"`)
	if err := tab.print(); err != nil {
		t.Fatal(err)
	}
	const want = `QUEUE   WAITING  BODY
foo           1  "hello"
länger     1200  "a body that…
`
	if b.String() != want {
		t.Errorf("\n%s\nwant:\n%s", b.String(), want)
	}
}

func TestTableOffATerminal(t *testing.T) {
	var b strings.Builder
	sh := &shell{out: &b, width: 10}
	tab := sh.table("QUEUE", ">WAITING")
	tab.row("a long name is whole", "1")
	if err := tab.print(); err != nil {
		t.Fatal(err)
	}
	if b.String() != "a long name is whole\t1\n" {
		t.Errorf("%q", b.String())
	}
}
