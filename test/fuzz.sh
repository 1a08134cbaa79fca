#!/bin/sh
# Runs every fuzz target for FUZZTIME, including those of nested modules. As many targets run
# at a time as there are processors, with one worker each. Each package is compiled once.
set -eu
: "${GO:=go}" "${TAGS:=grpcnotrace}" "${FUZZTIME:=10s}"

# run runs one target of a compiled package. If FUZZTIME ends in the middle of an input, the
# fuzzer sometimes reports a failure. A real failure names an input or a panic.
run() {
	out=$2/$4-$3.out
	if (cd "$1" && "$2/$4.test" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$FUZZTIME" -test.fuzzminimizetime 5x \
		-test.fuzzcachedir "$5" -test.parallel 1) >"$out" 2>&1; then
		echo "fuzz $1 $3: $(grep '^fuzz: elapsed' "$out" | tail -n 1)"
		return
	fi
	echo "fuzz $1 $3:"
	cat "$out"
	grep -qx ' *context deadline exceeded' "$out" || return 1
	! grep -q 'Failing input\|panic\|FAIL: [^F]' "$out"
}

if [ "${1:-}" = run ]; then
	shift
	run "$@"
	exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u); do
	number=$((number + 1))
	"$GO" test -C "$dir" -tags "$TAGS" -c -fuzz . -o "$work/$number.test" .
	corpus=$("$GO" env GOCACHE)/fuzz/$("$GO" list -C "$dir" .) # the directory that go test -fuzz uses
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go); do
		echo "$dir $work $target $number $corpus"
	done >>"$work/targets"
done
test -s "$work/targets"
export FUZZTIME
xargs -n 5 -P "$(nproc)" sh "$0" run <"$work/targets"
echo "$(wc -l <"$work/targets") fuzz targets in $number packages ran for $FUZZTIME each"
