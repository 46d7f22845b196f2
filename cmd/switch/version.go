package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// version is set by the linker for a release; see build.
var version = ""

// A build says which build of the switch this is.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// thisBuild is what the linker and the go command left in the binary.
func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	if v := info.Main.Version; b.Version == "" && v != "(devel)" {
		b.Version = v
	}
	switch {
	case b.Version != "":
	case len(b.Revision) >= 12:
		b.Version = "dev-" + b.Revision[:12]
	default:
		b.Version = "dev"
	}
	return b
}

func (sh *shell) versionCommand() *cli.Command {
	return &cli.Command{
		Name: "version", Category: groupOther, Usage: "say which build this is",
		Flags: flags(sh.outputFlag(formatTable, formatJSON)),
		Action: func(c *cli.Context) error {
			if _, err := sh.words(c); err != nil {
				return err
			}
			b := thisBuild()
			if sh.wantsJSON() {
				return sh.json(b)
			}
			_, err := fmt.Fprintf(sh.out, "%s %s (%s, %s)\n", sh.name, b.Version, b.Go, b.Platform)
			return err
		},
	}
}
