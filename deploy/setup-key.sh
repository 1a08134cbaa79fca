#!/bin/sh
# setup-key.sh KEY VAULT_HOST: makes a key that only your workload gets, as the AKS
# documentation on confidential containers calls it. `skrctl key create` does the work:
# use that directly for anything else (docs/keys.md).
#
#   MAA_ENDPOINT          host of the attestation provider, without https://
#   WORKLOAD_MEASUREMENT  SHA-256 of the pod's policy, in hexadecimal
#   MANAGED_IDENTITY      client id of a managed identity of this machine, to log in
#                         as where nobody is logged in otherwise; optional
#   SKRCTL                path of skrctl; found in PATH if empty
set -eu

die() {
	echo "setup-key.sh: $1" >&2
	exit 2
}

[ $# -eq 2 ] || die "usage: setup-key.sh KEY VAULT_HOST"
[ -n "${MAA_ENDPOINT:-}" ] || die "MAA_ENDPOINT is not set: it is the host of your attestation provider"

# Without it, the script of this name that Microsoft published makes a key that
# every confidential container of every Azure customer can have.
[ -n "${WORKLOAD_MEASUREMENT:-}" ] || die "WORKLOAD_MEASUREMENT is not set, and without it every pod on such machines, \
whoever's it is, would get the key: set it to what \`skrctl policy measure pod.yaml\` prints first"

# azidentity takes the managed identity's client id from this variable. It grants
# nothing: roles are given with az role assignment create.
if [ -n "${MANAGED_IDENTITY:-}" ] && [ -z "${AZURE_CLIENT_ID:-}" ]; then
	AZURE_CLIENT_ID=$MANAGED_IDENTITY
	export AZURE_CLIENT_ID
fi

exec "${SKRCTL:-skrctl}" key create "$1" --vault "$2" --authority "$MAA_ENDPOINT" --platform aks-kata \
	--measurement "$WORKLOAD_MEASUREMENT"
