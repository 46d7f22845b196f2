package main

import (
	"encoding/json"
	"errors"
	"fmt"
)

// errMismatch says that a system answered something wrong, or lost or doubled a
// message where it must not. It ends the run.
var errMismatch = errors.New("mismatch")

// mismatch makes an errMismatch.
func mismatch(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errMismatch, fmt.Sprintf(format, args...))
}

// A complaint is an error on its way from a child to its parent.
type complaint struct {
	Text     string
	Mismatch bool
}

func complain(err error) complaint {
	return complaint{Text: err.Error(), Mismatch: errors.Is(err, errMismatch)}
}

// Error is the text.
func (c complaint) Error() string { return c.Text }

// Is keeps errors.Is(err, errMismatch) true across the process boundary.
func (c complaint) Is(target error) bool { return target == errMismatch && c.Mismatch }

func parseComplaint(text string) error {
	var c complaint
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return errors.New(text)
	}
	return c
}
