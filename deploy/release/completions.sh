#!/bin/sh
# completions.sh DIR: writes skrctl's completions for the packages of a release.
set -eu
dir=${1:?usage: completions.sh DIR}
mkdir -p "$dir"
for shell in bash zsh fish; do
	"${GO:-go}" run -tags grpcnotrace ./cmd/skrctl completion "$shell" >"$dir/skrctl.$shell"
done
