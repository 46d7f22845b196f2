package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if isChild() {
		os.Exit(childMain())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command runs "report" or a measurement.
func command(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == "report" {
		return reportCommand(args[1:], os.Stdout)
	}
	p, err := parsePlan(args)
	if err != nil {
		return err
	}
	return measure(ctx, p, os.Stdout)
}
