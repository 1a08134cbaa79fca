#!/bin/sh
# layout.sh DIR: compiles skr and lays out the root directory of its image in DIR,
# which must not exist. Both the Dockerfile and build.sh build the image with it.
#
#   VERSION  the version that `skr version` prints; unknown if empty
#   GO       the Go command; go if empty
#   ARCH     the processor, such as arm64; this machine's if empty
set -eu
umask 022
dir=${1:?usage: layout.sh DIR}
[ ! -e "$dir" ] || { echo "layout.sh: $dir already exists" >&2; exit 2; }
mkdir -p "$dir/bin" "$dir/usr/share/sbom" "$dir/usr/share/doc/skr"

# The binary must not depend on paths, the state of a repository, or a C compiler.
go=${GO:-go}
CGO_ENABLED=0 GOOS=linux GOARCH="${ARCH:-$("$go" env GOHOSTARCH)}" "$go" build -tags grpcnotrace -trimpath -buildvcs=false \
	-ldflags "-s -w -X skr/internal/sbom.release=${VERSION:-unknown}" -o "$dir/bin/skr" ./cmd/skr

# Manifests of the reference sidecar start it as /skr.sh or `sh -c /skr.sh`. Here both
# are names of the one binary (docs/decisions/0004-drop-in.md).
ln -s bin/skr "$dir/skr.sh"
ln -s skr "$dir/bin/sh"

"$go" run ./deploy/release/sbom "$dir/bin/skr" "$dir/usr/share/sbom/skr.cdx.json" "${VERSION:-unknown}"
"$go" run ./deploy/release/notices ./cmd/skr "$dir/usr/share/doc/skr/NOTICES.txt" linux
cp LICENSE "$dir/usr/share/doc/skr/copyright"
