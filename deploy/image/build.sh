#!/bin/sh
# build.sh DIR: builds the image from the Dockerfile without a container engine, as
# the OCI archive DIR/skr.tar, writes its bill of materials beside it, and prints the
# digest. The same sources give the same digest.
#
#   VERSION            the version that `skr version` prints; unknown if empty
#   SOURCE_DATE_EPOCH  the time of all files in the image; the commit's if empty
#   ARCH               the processor, such as arm64; this machine's if empty
#   FRAGMENT_KEY       the key that signs a policy fragment for the image, see fragment.sh; none if empty
set -eu
umask 022
out=${1:?usage: build.sh DIR}
command -v buildah >/dev/null || {
	echo "make image needs buildah; install it (apt-get install buildah, dnf install buildah), or use docker build . (see the Dockerfile)" >&2
	exit 2
}
version=${VERSION:-unknown}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
arch=${ARCH:-$("${GO:-go}" env GOHOSTARCH)}
VERSION=$version ARCH=$arch sh deploy/image/layout.sh "$work/build/image"
mkdir -p "$out" "$work/empty"
rm -f "$out/skr.tar"

# The directory above replaces the stage "build", so that no container is pulled. All
# of buildah's storage is removed afterwards.
buildah --log-level error --root "$work/storage" --runroot "$work/run" --storage-driver vfs \
	build --quiet --isolation chroot --platform "linux/$arch" --file Dockerfile --build-context build="$work/build" \
	--timestamp "$epoch" --identity-label=false --build-arg VERSION="$version" --build-arg REVISION="$revision" \
	--tag "oci-archive:$out/skr.tar:skr:$version" "$work/empty" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cp "$work/build/image/usr/share/sbom/skr.cdx.json" "$out/skr.cdx.json"

digest=$(tar -xOf "$out/skr.tar" index.json | sed 's/.*"digest":"\([^"]*\)".*/\1/')
echo "$out/skr.tar  skr:$version  $digest"
[ -z "${FRAGMENT_KEY:-}" ] || sh deploy/image/fragment.sh "$out" "$version"
