package main

import (
	"fmt"
	"strings"
	"time"
)

// progressEvery is how often a progress is shown anew.
const progressEvery = 200 * time.Millisecond

// A progress tells how far a long work is, on one line of the terminal that
// standard error is; elsewhere it tells nothing.
type progress struct {
	sh    *shell
	what  string
	shown time.Time
	wide  int // of what is shown
}

// update tells how many bytes are done. A total of zero is not known yet.
func (p *progress) update(done, total uint64) {
	if !p.sh.errTerm || time.Since(p.shown) < progressEvery {
		return
	}
	p.shown = time.Now()
	text := p.what + ": " + byteSize(done)
	if total > 0 {
		text += fmt.Sprintf(" of %s, %d %%", byteSize(total), done*100/total)
	}
	p.show(text)
}

// end takes the line away.
func (p *progress) end() {
	if p.wide > 0 {
		p.show("")
		_, _ = fmt.Fprint(p.sh.err, "\r")
	}
}

func (p *progress) show(text string) {
	_, _ = fmt.Fprintf(p.sh.err, "\r%s%s", text, strings.Repeat(" ", max(0, p.wide-len(text))))
	p.wide = len(text)
}
