#!/bin/sh
# Builds HEAD's programs twice, in two directories with a cache of their own each, and compares
# them byte by byte.
#
#   WITH     a program of a release, such as skrctl.exe: builds only this program, for its system
#            and with its version of Go, and compares both builds with it
#   VERSION  the version that the programs print; the tag of HEAD if empty
set -eu
go=${GO:-go}
with=${WITH:-}
version=${VERSION:-$(git describe --tags --always)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

programs="skr skrctl"
if [ -n "$with" ]; then
	"$go" version -m "$with" >"$work/settings" || exit 2
	setting() { sed -n "s/^[[:space:]]*build[[:space:]]*$1=//p" "$work/settings"; }
	GOOS=$(setting GOOS)
	GOARCH=$(setting GOARCH)
	GOTOOLCHAIN=$(sed -n '1s/.*: \(go[0-9.]*\).*/\1/p' "$work/settings")
	programs=$(sed -n 's|^[[:space:]]*path[[:space:]]*skr/cmd/||p' "$work/settings")
	case $programs in
	skr | skrctl) ;;
	*) echo "$with is neither skr nor skrctl; name a program from the archive of a release" >&2; exit 2 ;;
	esac
	GOAMD64=$(setting GOAMD64)
	GOARM64=$(setting GOARM64)
	GOEXPERIMENT=$(setting GOEXPERIMENT)
	export GOOS GOARCH GOTOOLCHAIN GOAMD64 GOARM64 GOEXPERIMENT
fi

for place in one a/longer/path/two; do
	mkdir -p "$work/$place/source" "$work/$place/bin"
	git archive HEAD | tar -x -C "$work/$place/source"
	(
		cd "$work/$place/source"
		for program in $programs; do
			GOCACHE="$work/$place/cache" GOFLAGS='' CGO_ENABLED=0 "$go" build -tags "${TAGS:-grpcnotrace}" -trimpath -buildvcs=false \
				-ldflags "-s -w -X skr/internal/sbom.release=$version" -o "$work/$place/bin/$program" "./cmd/$program"
		done
	)
done
for program in $programs; do
	cmp "$work/one/bin/$program" "$work/a/longer/path/two/bin/$program" || exit 1
	(cd "$work/one/bin" && sha256sum "$program")
	[ -z "$with" ] || cmp "$work/one/bin/$program" "$with" || {
		echo "$with differs from the build of $version; check out the tag of the release first (git checkout vX.Y.Z)" >&2
		exit 1
	}
done
echo "both builds of $version are the same${with:+, and the same as $with}"
