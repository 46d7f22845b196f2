package main

import (
	"regexp"

	"github.com/urfave/cli/v2"
)

// The groups of verbs in the help, in its order.
const (
	groupRun   = "Serve and call"
	groupMove  = "Messages"
	groupQueue = "Queues"
	groupLook  = "See what happens"
	groupKeep  = "The data directory"
	groupOther = "And"
)

var groups = []string{groupRun, groupMove, groupQueue, groupLook, groupKeep, groupOther}

const description = `
Named queues in one small process that everybody dials. A request waits in its queue until
somebody serves it; the reply finds its way back. The switch is where --addr or SWITCH_ADDR says,
on 127.0.0.1:7411 if nothing does. A flag goes before the environment, and that before the
default; flags may stand before and after the words.

Data goes to standard output, everything else to standard error. Off a terminal a table has no
head, and tabs between its columns.

Exit codes: 0 done; 1 a local failure; 2 a command line that can't be; 64 and up a refusal, 64 and
its gRPC code: 68 time is up, 69 not found, 78 unavailable; 128 and up a signal.

In fish, PowerShell and csh "switch" is a word of the language. Install the binary under the name
mswitch too; it is the same under any name.`

// app is the command line as package cli knows it.
func (sh *shell) app() *cli.App {
	cli.HelpPrinter = printHelp
	cli.OsExiter = func(int) {} // errors come back from Run instead
	app := &cli.App{
		Name: sh.name, HelpName: sh.name, Usage: "a message switch",
		Description: description,
		Version:     thisBuild().Version,
		Reader:      sh.in, Writer: sh.out, ErrWriter: sh.err,
		Commands: []*cli.Command{
			sh.serveCommand(), sh.daemonCommand(), sh.respondCommand(), sh.callCommand(), sh.attachCommand(),
			sh.sendCommand(), sh.recvCommand(), sh.peekCommand(), sh.ackCommand(), sh.purgeCommand(), sh.dlqCommand(),
			sh.listCommand(), sh.describeCommand(), sh.createCommand(), sh.destroyCommand(),
			sh.diagnosticsCommand(), sh.serviceCommand(), sh.callsCommand(), sh.whyCommand(), sh.cancelCommand(), sh.tailCommand(), sh.mscgenCommand(), sh.benchCommand(),
			sh.backupCommand(), sh.restoreCommand(), sh.checkCommand(), sh.dumpCommand(),
			sh.shutdownCommand(), sh.versionCommand(), sh.completionCommand(), sh.completeCommand(), sh.helpCommand(),
		},
		HideHelpCommand:           true, // ours exits 2 for a verb that isn't
		Flags:                     []cli.Flag{cli.HelpFlag},
		Action:                    sh.noVerb,
		OnUsageError:              onUsageError,
		ExitErrHandler:            func(*cli.Context, error) {}, // finish tells of errors
		DisableSliceFlagSeparator: true,                         // a header may hold a comma
	}
	for _, c := range app.Commands {
		c.HideHelpCommand = true // a queue may be named help
		c.OnUsageError = onUsageError
	}
	return app
}

// onUsageError puts package flag's words for a bad value into ours.
func onUsageError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if m := badValue.FindStringSubmatch(text); m != nil {
		text = dashed(m[3]) + " " + m[2] + ": " + m[4]
		if m[4] == "parse error" {
			text = dashed(m[3]) + " " + m[2] + ": a whole number is wanted"
		}
		if m[1] != "" {
			text = dashed(m[3]) + "=" + m[2] + ": true or false is wanted"
		}
	}
	bad := usage("%s", text)
	if c.Command != nil && c.Command.HelpName != "" {
		bad = bad.hint("see: %s --help", c.Command.HelpName)
	}
	return bad
}

// badValue is how package flag complains of a value.
var badValue = regexp.MustCompile(`^invalid (boolean )?value ("(?:[^"\\]|\\.)*") for (?:flag )?-([\w-]+): (.*)$`)
