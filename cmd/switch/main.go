package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	sh := newShell(os.Args[0])
	ctx, stop := untilSignal()
	code := sh.run(ctx, os.Args)
	stop()
	os.Exit(code)
}

// untilSignal is the context of the whole run: it ends with the first SIGINT or
// SIGTERM, which it gives as its cause. From then on signals do what they do to
// any program, so a second one ends the process at once.
func untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1) // never closed
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	// A reader of our output who has enough shows as a failed write, so that what
	// could not be written is not acked. To ignore the signal would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() { // waits for the first signal; ends with the process
		s := <-signals
		signal.Stop(signals)
		cancel(interruptedBy{s})
	}()
	return ctx, func() { cancel(nil) }
}
