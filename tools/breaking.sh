#!/usr/bin/env bash
# Compares proto/ with the last release's. Called by make, which puts buf on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

# A release is a tag vX.Y.Z; other modules' tags carry their directory.
if ! tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
  echo "No release tag yet: there is nothing that proto/ could break."
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git archive "$tag" buf.yaml proto | tar -x -C "$work"
buf breaking --against "$work"
echo "proto/ breaks no client of $tag."
