package main

import "testing"

func TestCores(t *testing.T) {
	c := &cores{few: 2, all: 4, now: 2}
	for _, step := range []struct {
		busy float64
		want int
	}{{0, 2}, {1.4, 2}, {1.6, 4}, {1.2, 4}, {3.9, 4}, {1.1, 4}, {0.9, 2}, {1.2, 2}} {
		if got := c.after(step.busy); got != step.want {
			t.Errorf("with %v busy it is %d, want %d", step.busy, got, step.want)
		}
	}
}
