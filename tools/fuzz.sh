#!/usr/bin/env bash
# Fuzzes every target of every package for the given time. The test binaries are
# asked for their targets, so a new one needs no registration.
#   usage: tools/fuzz.sh 10s
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?how long each target runs, as in 10s}

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz runs one target. Up to Go 1.26 the coordinator may report its own
# -fuzztime as a failure "context deadline exceeded" (golang/go#75804); a real
# finding always names the input that it wrote to testdata.
fuzz() {
  local status=0
  go test -run='^$' -fuzz="^$2\$" -fuzzminimizetime=1x -fuzztime="$time" -timeout=0 "$1" 2>&1 </dev/null | tee "$log" || status=$?
  if ((status != 0)) && grep -qx ' *context deadline exceeded' "$log" && ! grep -qE 'Failing input|testdata' "$log"; then
    echo "(the time was up, nothing was found)"
    return 0
  fi
  return "$status"
}

# -list prints a package's targets, then "ok PACKAGE".
listed=$(go test -list='^Fuzz' ./...) || { echo "$listed"; exit 1; }
targets=$(awk '/^Fuzz/ { names[++n] = $1 } /^ok/ { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }' <<<"$listed")
if [[ -z $targets ]]; then
  echo "There is no fuzz target yet."
  exit 0
fi

failed=0
while read -r package name; do
  echo "--- $name in $package"
  fuzz "$package" "$name" || failed=1
done <<<"$targets"
exit "$failed"
