package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestTheListFits finds what has changed under the list of mistakes. Planting them all
// takes long and is done now and then; this is done each time.
func TestTheListFits(t *testing.T) {
	text, err := os.ReadFile("durable.txt")
	if err != nil {
		t.Fatal(err)
	}
	mistakes, err := parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mistakes {
		planted := map[string]string{} // a mistake may change a file more than once
		for _, e := range m.edits {
			sound, ok := planted[e.file]
			if !ok {
				b, err := os.ReadFile(filepath.Join("..", "..", e.file))
				if err != nil {
					t.Fatal(err)
				}
				sound = string(b)
			}
			if planted[e.file], err = e.apply(sound); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
}
