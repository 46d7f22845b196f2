package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	d := startDaemon(t)
	for _, q := range []string{"foo", "food", "a:b c"} {
		d.run(t, "create", q).says(t, 0)
	}
	for _, c := range []struct {
		words []string
		want  string // the candidates, comma between
	}{
		{[]string{"desc"}, "describe"},
		{[]string{"de"}, "describe,destroy"},
		{[]string{"nope"}, ""},
		{[]string{"--addr", d.addr, "desc"}, "describe"},
		{[]string{"call", "f"}, "foo,food"},
		{[]string{"call", ""}, "a:b c,foo,food"},
		{[]string{"call", "--addr", d.addr, "fo"}, "foo,food"},
		{[]string{"call", "foo", "f"}, ""},
		{[]string{"call", "foo", "--bo"}, "--body"},
		{[]string{"call", "--body", "f"}, ""},
		{[]string{"call", "-b", "x", "f"}, "foo,food"},
		{[]string{"list", "-o", ""}, "table,json,jsonl,raw"},
		{[]string{"list", "--output", "js"}, "json,jsonl"},
		{[]string{"list", "f"}, ""},
		{[]string{"create", "x", "--overflow", ""}, "reject,drop-oldest"},
		{[]string{"completion", ""}, "bash,zsh,fish,powershell"},
		{[]string{"help", "tai"}, "tail"},
		{[]string{"serve", "f"}, "foo,food"},
		{[]string{"tail", "--fo"}, "--follow"},
	} {
		r := d.run(t, append([]string{"__complete", "--"}, c.words...)...)
		if got := firstColumn(r.out); r.code != 0 || got != c.want {
			t.Errorf("%q: exit %d, %s; want %s", c.words, r.code, got, c.want)
		}
	}
	if got := firstColumn(d.run(t, "__complete", "--new", "--", "call", "foo", "--body").out); got != "" {
		t.Errorf("--new: %s", got)
	}
	if got := firstColumn(d.run(t, "__complete", "--new", "--", "completion").out); got != "bash,zsh,fish,powershell" {
		t.Errorf("--new: %s", got)
	}
	d.run(t, "completion", "tcsh").says(t, 2, "tcsh", "bash, zsh, fish, powershell")
}

// TestCompleteWithoutDaemon: no daemon, no queues, no complaint.
func TestCompleteWithoutDaemon(t *testing.T) {
	start(t, []string{"SWITCH_ADDR=" + freeAddr(t)}, "switch", "__complete", "--", "call", "").wait(t).want(t, 0, "")
}

func firstColumn(out string) string {
	var words []string
	for line := range strings.Lines(out) {
		word, _, _ := strings.Cut(line, "\t")
		words = append(words, word)
	}
	return strings.Join(words, ",")
}

// TestCompletionScripts sources the scripts in the shells that there are.
func TestCompletionScripts(t *testing.T) {
	d := startDaemon(t)
	for _, q := range []string{"foo", "food", "a:bc"} {
		d.run(t, "create", q).says(t, 0)
	}
	for _, c := range []struct{ shell, script, want string }{
		{"bash", bashTypes("switch call fo"), "foo\nfood\n"},
		{"bash", bashTypes("mswitch call fo"), "foo\nfood\n"},
		{"bash", bashTypes("switch call a:"), "bc\n"},
		{"bash", bashTypes("switch call foo --time"), "--timeout\n"},
		{"bash", bashTypes("switch list -o "), "table\njson\njsonl\nraw\n"},
		{"bash", `source <(switch completion bash); complete -p switch mswitch`,
			"complete -o default -F _switch_complete switch\ncomplete -o default -F _switch_complete mswitch\n"},
		{"zsh", zshTypes("switch call fo"), "foo\nfood\n"},
		{"zsh", zshTypes("mswitch tail --fo"), "--follow\n"},
		{"zsh", zshTypes("switch call a"), "a:bc\n"},
		{"fish", fishTypes("mswitch call fo"), "foo\nfood\n"},
		{"fish", fishTypes("mswitch call foo --time"), "--timeout\n"},
		{"fish", fishTypes("command switch call fo"), "foo\nfood\n"},
		{"fish", fishTypes("mswitch call a"), "a:bc\n"},
	} {
		path, err := exec.LookPath(c.shell)
		if err != nil {
			t.Logf("%s is not installed", c.shell)
			continue
		}
		args := []string{path, "-c", c.script}
		if c.shell == "zsh" {
			args = slices.Insert(args, 1, "-f")
		}
		start(t, []string{"SWITCH_ADDR=" + d.addr, "TERM=dumb"}, args...).wait(t).want(t, 0, c.want)
	}
}

func bashTypes(line string) string {
	return `source <(switch completion bash)
COMP_LINE='` + line + `'; COMP_POINT=${#COMP_LINE}
_switch_complete
printf '%s\n' "${COMPREPLY[@]}"`
}

// zshTypes calls the completion with a stand-in for what shows the answer, as
// zsh completes nothing without a terminal.
func zshTypes(line string) string {
	return `compdef() { :; }
_describe() { local l; for l in "${(@P)3}"; do l=${l//\\:/%}; print -r -- ${${l%%:*}//\%/:}; done; }
_files() { print files; }
source <(switch completion zsh)
words=(` + line + `) CURRENT=${#words}
_switch_complete`
}

func fishTypes(line string) string {
	return `mswitch completion fish | source; complete -C '` + line + `' | string replace -r '\t.*' ''`
}
