#!/bin/sh
# layout.sh DIR: compiles skr and lays out the root directory of its image in DIR,
# which must not exist. The Dockerfile and build.sh both run this, and nothing else.
#
#   VERSION  what `skr version` is to say; unknown if empty
#   GO       the Go command; go if empty
set -eu
umask 022
dir=${1:?usage: layout.sh DIR}
[ ! -e "$dir" ] || { echo "layout.sh: $dir exists already" >&2; exit 2; }
mkdir -p "$dir/bin" "$dir/usr/share/sbom"

# Neither paths, nor the state of a repository, nor a C compiler may change the binary.
CGO_ENABLED=0 "${GO:-go}" build -tags grpcnotrace -trimpath -buildvcs=false \
	-ldflags "-s -w -X skr/internal/sbom.release=${VERSION:-unknown}" -o "$dir/bin/skr" ./cmd/skr

# /skr.sh and `sh -c /skr.sh` are how manifests of the reference sidecar start it;
# here both are names of the one binary (docs/decisions/0004-drop-in.md).
ln -s bin/skr "$dir/skr.sh"
ln -s skr "$dir/bin/sh"

"$dir/bin/skr" version --sbom >"$dir/usr/share/sbom/skr.cdx.json"
