#!/bin/sh
# setup-key.sh KEY VAULT_HOST: creates a key that only your workload gets. The AKS
# documentation on confidential containers calls a script of this name. This one calls
# `skrctl key create`: use that directly for other keys (docs/keys.md). It ends with what to
# do on the next change of the pod.
#
#   MAA_ENDPOINT          host of the attestation provider, without https://
#   WORKLOAD_MEASUREMENT  SHA-256 of the pod's policy, in hexadecimal
#   MANAGED_IDENTITY      client id of a managed identity of this machine, used if there
#                         is no other login; optional
#   SKRCTL                path of skrctl; optional, by default found in PATH
set -eu

die() {
	echo "setup-key.sh: $1" >&2
	exit 2
}

[ $# -eq 2 ] || die "usage: setup-key.sh KEY VAULT_HOST"
[ -n "${MAA_ENDPOINT:-}" ] || die "MAA_ENDPOINT is not set; set it to the host of your attestation provider"

# Without it, the script of this name that Microsoft published creates a key that
# every confidential container of every Azure customer can get.
[ -n "${WORKLOAD_MEASUREMENT:-}" ] || die "WORKLOAD_MEASUREMENT is not set, and without it every pod \
of every customer on such machines would get the key; set it to the hash that \`skrctl measure pod.yaml\` prints"

# azidentity reads the managed identity's client id from this variable. The variable
# grants nothing; az role assignment create assigns the roles.
if [ -n "${MANAGED_IDENTITY:-}" ] && [ -z "${AZURE_CLIENT_ID:-}" ]; then
	AZURE_CLIENT_ID=$MANAGED_IDENTITY
	export AZURE_CLIENT_ID
fi

"${SKRCTL:-skrctl}" key create "$1" --vault "$2" --authority "$MAA_ENDPOINT" --platform aks-kata \
	--measurement "$WORKLOAD_MEASUREMENT"

cat <<END

Each change of the pod changes its measurement. Then do not create a key again: the new one could
not decrypt old messages. Allow the changed pod before you deploy it, and retire this one when it
no longer runs (docs/rollouts.md):

  skrctl key policy allow $1 --vault $2 --workload CHANGED.yaml
  kubectl apply -f CHANGED.yaml
  skrctl key policy retire $1 --vault $2 --measurement $WORKLOAD_MEASUREMENT
END
