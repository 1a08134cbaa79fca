#!/bin/sh
# Runs every fuzz target, also of nested modules, for FUZZTIME, one after the other.
set -eu
: "${GO:=go}" "${TAGS:=grpcnotrace}" "${FUZZTIME:=10s}"
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# run one target. The fuzzer sometimes takes the end of FUZZTIME itself, which
# reaches it in the middle of an input, for a failure; a real one names an input
# or a panic.
run() {
	if "$GO" test -C "$1" -tags "$TAGS" -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 5x . >"$out" 2>&1; then
		tail -n 1 "$out"
		return
	fi
	cat "$out"
	grep -qx ' *context deadline exceeded' "$out" || return 1
	! grep -q 'Failing input\|panic\|FAIL: [^F]' "$out"
}

count=0
for file in $(grep -rl --include='*_test.go' '^func Fuzz' . | sort); do
	dir=$(dirname "$file")
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		echo "fuzz $dir $target"
		run "$dir" "$target"
		count=$((count + 1))
	done
done
echo "$count fuzz targets ran for $FUZZTIME each"
test "$count" -gt 0
