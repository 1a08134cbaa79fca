#!/bin/sh
# Builds HEAD's programs twice, in two directories with a cache of their own each, and compares
# them byte by byte.
set -eu
go=${GO:-go}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(git describe --tags --always)
for place in one a/longer/path/two; do
	mkdir -p "$work/$place/source"
	git archive HEAD | tar -x -C "$work/$place/source"
	(
		cd "$work/$place/source"
		GOCACHE="$work/$place/cache" GOFLAGS='' CGO_ENABLED=0 "$go" build -tags "${TAGS:-grpcnotrace}" -trimpath -buildvcs=false \
			-ldflags "-s -w -X skr/internal/sbom.release=$version" -o "$work/$place/bin/" ./cmd/skr ./cmd/skrctl
	)
done
for program in skr skrctl; do
	cmp "$work/one/bin/$program" "$work/a/longer/path/two/bin/$program" || exit 1
	(cd "$work/one/bin" && sha256sum "$program")
done
echo "both builds of $version are the same"
