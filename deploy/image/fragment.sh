#!/bin/sh
# fragment.sh DIR VERSION: signs a policy fragment for the image DIR/skr.tar, and attaches it to
# the image in the OCI layout DIR/skr. build.sh runs it if FRAGMENT_KEY is set.
#
#   FRAGMENT_KEY       file with the signer's EC key on P-384, as PEM
#   FRAGMENT_CHAIN     file with the signer's certificate, then its CAs up to the root
#   FRAGMENT_FEED      REGISTRY/REPOSITORY that the image is pushed to
#   FRAGMENT_SVN       security version number, 1 or higher
#   FRAGMENT_PLATFORM  aci or aci-vn2; aci if empty
#   FRAGMENT_ENV       file with variables that the container may also have, a NAME=VALUE a line;
#                      none if empty
#
# It writes DIR/skr.rego, DIR/skr.rego.cose, and DIR/skr-import.json: the import rule for execution
# policies. Besides FRAGMENT_ENV, the fragment admits the variables in deploy/image/settings.txt.
set -eu
umask 022
out=${1:?usage: fragment.sh DIR VERSION} version=${2:?usage: fragment.sh DIR VERSION}
for name in KEY CHAIN FEED SVN; do
	eval "value=\${FRAGMENT_$name:-}"
	[ -n "$value" ] || { echo "fragment.sh: FRAGMENT_$name is not set; a fragment needs FRAGMENT_KEY, FRAGMENT_CHAIN, FRAGMENT_FEED and FRAGMENT_SVN" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 "${GO:-go}" build -tags grpcnotrace -trimpath -buildvcs=false -o "$work/skrctl" ./cmd/skrctl
rm -rf "$out/skr"
mkdir "$out/skr"
tar -xf "$out/skr.tar" -C "$out/skr"
image=oci:$out/skr:skr:$version

set --
while read -r name; do
	case $name in '' | '#'*) ;; *) set -- "$@" --env-pattern "$name=.*" ;; esac
done <deploy/image/settings.txt
while IFS= read -r variable; do
	case $variable in '' | '#'*) ;; *) set -- "$@" --env "$variable" ;; esac
done <"${FRAGMENT_ENV:-/dev/null}"
"$work/skrctl" fragment new "$image" --namespace skr --svn "$FRAGMENT_SVN" --platform "${FRAGMENT_PLATFORM:-aci}" "$@" --out "$work/skr.rego"

# The container has the name that it will be pushed to.
sed "s|\"oci:[^\"]*\"|\"$FRAGMENT_FEED:$version\"|g" "$work/skr.rego" >"$out/skr.rego"
"$work/skrctl" fragment sign "$out/skr.rego" --key "$FRAGMENT_KEY" --chain "$FRAGMENT_CHAIN" --feed "$FRAGMENT_FEED" --out "$out/skr.rego.cose"
"$work/skrctl" fragment import-rule "$out/skr.rego.cose" >"$out/skr-import.json"
"$work/skrctl" fragment attach "$out/skr.rego.cose" "$image"
