#!/bin/sh
# Runs every fuzz target of the module for FUZZTIME, one after the other.
set -eu
: "${GO:=go}" "${TAGS:=grpcnotrace}" "${FUZZTIME:=10s}"
count=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "fuzz $dir $target"
		"$GO" test -tags "$TAGS" -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 5x "$dir"
		count=$((count + 1))
	done
done
echo "$count fuzz targets ran for $FUZZTIME each"
test "$count" -gt 0
