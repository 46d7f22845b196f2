package main

import (
	"maps"
	"strings"
	"testing"
)

// A profile names a function in full once, by its number from then on, and what a call
// has cost stands behind the call: it belongs to who was called.
func TestReadProfile(t *testing.T) {
	c, err := readProfile(strings.NewReader(`# callgrind format
version: 1
cmd:  ./test -test.bench x
positions: line
events: Ir
summary: 165

ob=(1) ./test
fl=(1) /go/proc.go
fn=(10) runtime.schedule
9 5
+1 4
cfi=(2) wire.go
cfn=(12) example.org/switch/proto/frames.(*cursor).next
calls=3 466
* 81
* 3

fl=(2)
fn=(12)
72 60
-2 21
cfi=(3) memeq.s
cfn=(14) memeqbody
calls=1 1
+3 72

fn=(14)
1 72
fn=(16) example.org/v1.2/x.init'2
7 2
fn=(18) slices.Delete[go.shape.[]*example.org/switch/client.Inbox]
7 1
fn=(20) type:.eq.example.org/v1.2/x.key
7 1
totals: 165
`))
	want := counts{"runtime": 12 + 72, "example.org/switch/proto/frames": 81, "example.org/v1.2/x": 3, "slices": 1}
	if err != nil || !maps.Equal(c, want) {
		t.Errorf("got %v (%v), want %v", c, err, want)
	}
	if _, err := readProfile(strings.NewReader("fn=(1) a.b\n1 x\n")); err == nil {
		t.Error("a cost that is no number was read")
	}
}
