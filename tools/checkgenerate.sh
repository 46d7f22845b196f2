#!/usr/bin/env bash
# Generates beside the tree, never in it, and compares. A generated file whose
# .proto is gone is drift too. Called by make, which puts the generators on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/tree"
find proto -name '*.pb.go' -exec cp --parents -t "$work/tree" {} +
buf generate --output "$work/fresh"

if ! (cd "$work" && diff --recursive --brief tree fresh); then
  echo >&2 "The generated Go differs from what proto/ says: run 'make generate' and commit the result (a file"
  echo >&2 "only in tree/ has lost its .proto: delete it)."
  exit 1
fi
echo "Generated code is what proto/ says."
