#!/bin/sh
# build.sh DIR: builds an image from its Dockerfile without a container engine, as
# the OCI archive DIR/PROGRAM.tar, writes its bill of materials beside it, and prints the
# digest. The same sources give the same digest.
#
#   PROGRAM            skr, skr-emulator or skr-example (examples/compose); skr if empty
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
program=${PROGRAM:-skr}
case $program in
skr) file=Dockerfile ;;
skr-emulator) file=deploy/image/emulator.Dockerfile ;;
skr-example) file=examples/compose/Dockerfile ;;
*)
	echo "build.sh: PROGRAM=$program: use skr, skr-emulator or skr-example" >&2
	exit 2
	;;
esac
version=${VERSION:-unknown}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
arch=${ARCH:-$("${GO:-go}" env GOHOSTARCH)}
PROGRAM=$program VERSION=$version ARCH=$arch sh deploy/image/layout.sh "$work/build/image"
mkdir -p "$out" "$work/empty"
rm -f "$out/$program.tar"

# The directory above replaces the stage "build", so that no container is pulled. All
# of buildah's storage is removed afterwards.
buildah --log-level error --root "$work/storage" --runroot "$work/run" --storage-driver vfs \
	build --quiet --isolation chroot --platform "linux/$arch" --file "$file" --build-context build="$work/build" \
	--timestamp "$epoch" --identity-label=false --build-arg VERSION="$version" --build-arg REVISION="$revision" \
	--tag "oci-archive:$out/$program.tar:$program:$version" "$work/empty" >/dev/null 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
cp "$work/build/image/usr/share/sbom/$program.cdx.json" "$out/$program.cdx.json"

digest=$(tar -xOf "$out/$program.tar" index.json | sed 's/.*"digest":"\([^"]*\)".*/\1/')
echo "$out/$program.tar  $program:$version  $digest"
[ "$program" != skr ] || [ -z "${FRAGMENT_KEY:-}" ] || sh deploy/image/fragment.sh "$out" "$version"
