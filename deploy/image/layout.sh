#!/bin/sh
# layout.sh DIR: compiles a program and lays out the root directory of its image in DIR,
# which must not exist. Both the Dockerfiles and build.sh build the images with it.
#
#   PROGRAM  skr, skr-emulator or skr-example; skr if empty
#   VERSION  the version that `skr version` prints; unknown if empty
#   GO       the Go command; go if empty
#   ARCH     the processor, such as arm64; this machine's if empty
set -eu
umask 022
dir=${1:?usage: layout.sh DIR}
[ ! -e "$dir" ] || { echo "layout.sh: $dir already exists" >&2; exit 2; }
program=${PROGRAM:-skr}
source=./cmd/$program
[ "$program" != skr-example ] || source=./examples/compose
mkdir -p "$dir/bin" "$dir/usr/share/sbom" "$dir/usr/share/doc/$program"

# The binary must not depend on paths, the state of a repository, or a C compiler.
go=${GO:-go}
CGO_ENABLED=0 GOOS=linux GOARCH="${ARCH:-$("$go" env GOHOSTARCH)}" "$go" build -tags grpcnotrace -trimpath -buildvcs=false \
	-ldflags "-s -w -X skr/internal/sbom.release=${VERSION:-unknown}" -o "$dir/bin/$program" "$source"

case $program in
skr)
	# Manifests of the reference sidecar start it as /skr.sh or `sh -c /skr.sh`. Here both
	# are names of the one binary (docs/decisions/0004-drop-in.md).
	ln -s bin/skr "$dir/skr.sh"
	ln -s skr "$dir/bin/sh"
	;;
skr-emulator)
	# Places for volumes. A new volume gets the owner of the directory in the first image that uses it.
	mkdir -m 700 -p "$dir/run/emulator" "$dir/run/pod" "$dir/run/other-pod"
	;;
esac

"$go" run ./deploy/release/sbom "$dir/bin/$program" "$dir/usr/share/sbom/$program.cdx.json" "${VERSION:-unknown}"
"$go" run ./deploy/release/notices "$source" "$dir/usr/share/doc/$program/NOTICES.txt" linux
cp LICENSE "$dir/usr/share/doc/$program/copyright"
