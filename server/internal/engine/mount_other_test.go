//go:build !linux

package engine_test

import "errors"

func mountMemory(string, string) error { return errors.New("only known on Linux") }

func unmount(string) error { return nil }

func noise(size int) func() []byte { return func() []byte { return make([]byte, size) } }
