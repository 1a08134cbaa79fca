#!/bin/sh
# Runs every fuzz target for FUZZTIME, a time or a number of inputs ("500x"), including those
# of nested modules. SHARE=K/N, with K from 0 to N-1, runs those of one in N packages. As many
# targets run at a time as there are processors, with one worker each. Each package is compiled
# once, and as many at a time as there are processors.
set -eu
: "${GO:=go}" "${TAGS:=grpcnotrace}" "${FUZZTIME:=10s}" "${SHARE:=0/1}"

# compile compiles a package with the instrumentation of the fuzzer, and lists its targets.
compile() {
	"$GO" test -C "$1" -tags "$TAGS" -c -fuzz . -o "$2/$3.test" .
	corpus=$("$GO" env GOCACHE)/fuzz/$("$GO" list -C "$1" .) # the directory that go test -fuzz uses
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$1"/*_test.go); do
		echo "$1 $2 $target $3 $corpus"
	done >"$2/$3.targets"
}

# limit prints FUZZTIME. The fuzzer counts the inputs that it already has, so that limit adds
# the number of inputs in the directory of the target to a number of inputs.
limit() {
	case $FUZZTIME in
	*x) echo "$((${FUZZTIME%x} + $(find "$1" -type f 2>/dev/null | wc -l)))x" ;;
	*) echo "$FUZZTIME" ;;
	esac
}

# run runs one target of a compiled package. If FUZZTIME ends in the middle of an input, the
# fuzzer sometimes reports a failure. A real failure names an input or a panic.
run() {
	out=$2/$4-$3.out
	if (cd "$1" && "$2/$4.test" -test.run '^$' -test.fuzz "^$3\$" -test.fuzztime "$(limit "$5/$3")" -test.fuzzminimizetime 5x \
		-test.fuzzcachedir "$5" -test.parallel 1) >"$out" 2>&1; then
		last=$(grep '^fuzz: elapsed' "$out" | tail -n 1)
		echo "fuzz $1 $3: $last"
		case $FUZZTIME in *x) fuzzed "$last" ;; *) test -n "$last" ;; esac # A target that is not found also succeeds.
		return
	fi
	echo "fuzz $1 $3:"
	cat "$out"
	grep -qx ' *context deadline exceeded' "$out" || return 1
	! grep -q 'Failing input\|panic\|FAIL: [^F]' "$out"
}

# fuzzed fails if all inputs of a run were seeds and inputs of earlier runs.
fuzzed() {
	execs=${1#*execs: } total=${1#*total: }
	case $1 in *execs:*total:*) [ "${execs%% *}" -le "${total%%)*}" ] || return 0 ;; esac
	echo "no new input was tried: FUZZTIME must be higher than the number of seeds"
	return 1
}

case "${1:-}" in
compile | run)
	"$@"
	exit
	;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GO TAGS FUZZTIME
grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u |
	awk -v work="$work" -v share="${SHARE%/*}" -v shares="${SHARE#*/}" 'NR % shares == share {print $0, work, NR}' >"$work/packages"
test -s "$work/packages" || { echo "no package has a fuzz target, or SHARE=$SHARE is not one of 0/N to N-1/N"; exit 1; }
xargs -n 3 -P "$(nproc)" sh "$0" compile <"$work/packages"
cat "$work"/*.targets >"$work/targets"
xargs -n 5 -P "$(nproc)" sh "$0" run <"$work/targets"
echo "$(wc -l <"$work/targets") fuzz targets in $(wc -l <"$work/packages") packages ran for $FUZZTIME each (share $SHARE)"
