#!/bin/sh
# Runs a command where Azure's own names lead to the emulator: those of the services on 127.0.0.1:443,
# and IMDS at its address. It needs namespaces of its own for the network and for mounts (unshare).
# Arguments: a directory, which has the runtime data of an attestation token, and the command.
set -eu
dir=$1
shift
ip link set lo up
ip address add 169.254.169.254/32 dev lo
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$dir/policy.key" -out "$dir/policy.pem" -subj '/CN=policies TEST ONLY' -days 1 2>/dev/null
mkfifo "$dir/out"
skr-emulator serve --real-names --hosts --imds 169.254.169.254:80 --policy-certificate "$dir/policy.pem" --dir "$dir/emulator" >"$dir/out" &
while read -r line && [ "$line" != '# ready' ]; do
	printf '%s\n' "$line"
done <"$dir/out" >"$dir/env.sh"
sed -n 's/^#hosts //p' "$dir/env.sh" >"$dir/hosts"
mount --bind "$dir/hosts" /etc/hosts
(. "$dir/env.sh" && skr attest maa --authority "$MAA_ENDPOINT" <"$dir/runtime-data" >"$dir/token.json")
eval "$(sed -n 's/^#identity //p' "$dir/env.sh")"
OBJECT_ID=$(sed -n 's/^# managed identity.* object_id=//p' "$dir/env.sh")
export OBJECT_ID TOKEN="$dir/token.json" POLICY="$dir/policy"
exec "$@"
