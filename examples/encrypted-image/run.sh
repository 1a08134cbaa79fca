#!/bin/sh
# Encrypts a container image for one workload and decrypts it there, on this machine,
# with the emulator as the cloud:
#
#	make build && sh examples/encrypted-image/run.sh
#
# BIN is the directory of skr, skrctl and skr-emulator. SKOPEO is a skopeo that supports
# key providers, such as the one of Debian 13 or later. On an older system,
# `sh test/images/skopeo.sh DIR` installs one as DIR/skopeo with apt-get and dpkg-deb.
set -eu
BIN=${BIN:-bin}
[ -x "$BIN/skr" ] && [ -x "$BIN/skrctl" ] && [ -x "$BIN/skr-emulator" ] || {
	echo "run.sh: skr, skrctl or skr-emulator is not in $BIN: run make build first, or set BIN" >&2
	exit 2
}
BIN=$(cd "$BIN" && pwd)
SKOPEO=${SKOPEO:-skopeo}
PORT=${PORT:-50000}
skopeo=$(command -v "$SKOPEO") || skopeo=
case $skopeo in
'') problem="$SKOPEO is not installed" ;;
*) # a script, such as the one from skopeo.sh, is not inspected
	if head -c 2 "$skopeo" | grep -q '#!' || grep -q keyprovider "$skopeo"; then
		problem=
	else
		problem="$skopeo does not support key providers"
	fi ;;
esac
[ -z "$problem" ] || {
	cat >&2 <<-EOF
	run.sh: $problem. Do one of these:
	  apt-get install skopeo   on Debian 13 or later
	  sh test/images/skopeo.sh /tmp/skopeo && SKOPEO=/tmp/skopeo/skopeo sh examples/encrypted-image/run.sh
	                           on other systems with apt-get: installs Debian 13's below /tmp/skopeo
	EOF
	exit 2
}
case $skopeo in
/*) SKOPEO=$skopeo ;;
*) SKOPEO=$PWD/$skopeo ;;
esac
work=$(mktemp -d)
trap 'kill $running 2>/dev/null; rm -rf "$work"' EXIT
running=
cd "$work"

say() { printf '\n-- %s\n' "$*"; }
await() { # COMMAND...: retries the command until it succeeds
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.2
	done
	echo "gave up waiting for: $*" >&2
	exit 1
}

say "an emulated cloud, and a pod in it"
"$BIN/skr-emulator" serve --key demo/another >env.sh &
running="$running $!"
await grep -q '^# ready' env.sh
. ./env.sh

say "a key that only this pod's workload gets"
"$BIN/skrctl" key create layers --vault "$AKV_ENDPOINT" --authority "$MAA_ENDPOINT" --platform aci \
	--measurement "$("$BIN/skrctl" measure "$UVM_SECURITY_CONTEXT_DIR/security-policy-base64" | cut -d' ' -f1)"

say "the key provider, without HTTP"
SKR_LISTEN='' SKR_GRPC_LISTEN=localhost:$PORT SKR_WRAP_KEYS=$work SKR_KEY_CACHE_TTL=1m \
	"$BIN/skr" --log-file "$work/skr.log" &
running="$running $!"
SKR_LISTEN='' SKR_GRPC_LISTEN=localhost:$PORT "$BIN/skr" healthcheck --wait 15s
printf '{"key-providers":{"skr":{"grpc":"localhost:%s"}}}' "$PORT" >ocicrypt.json
export OCICRYPT_KEYPROVIDER_CONFIG="$work/ocicrypt.json"

say "an image of one layer"
mkdir -p plain/blobs/sha256
echo "the model's weights" >weights
tar cf layer.tar weights
blob() { # FILE: copies it to the blobs and prints its digest and size as JSON
	digest=$(sha256sum "$1" | cut -d' ' -f1)
	cp "$1" "plain/blobs/sha256/$digest"
	printf '"digest":"sha256:%s","size":%d' "$digest" "$(wc -c <"$1")"
}
layer=$(blob layer.tar)
printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
	"$(sha256sum layer.tar | cut -d' ' -f1)" >config.json
printf '{"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",%s}]}' \
	"$(blob config.json)" "$layer" >manifest.json
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"org.opencontainers.image.ref.name":"1"}}]}' \
	"$(blob manifest.json)" >plain/index.json
echo '{"imageLayoutVersion":"1.0.0"}' >plain/oci-layout

say "encrypt: this needs only the public key"
"$SKOPEO" --insecure-policy copy --encryption-key provider:skr:layers oci:plain:1 oci:encrypted:1
if grep -rq "the model's weights" encrypted; then
	echo "the image is not encrypted" >&2
	exit 1
fi

say "decrypt: the vault releases the key to this pod"
"$SKOPEO" --insecure-policy copy --decryption-key provider:skr:skr oci:encrypted:1 dir:decrypted
for file in decrypted/*; do
	tar xOf "$file" weights 2>/dev/null && found=yes || :
done
[ "${found:-}" = yes ]
say "done"
