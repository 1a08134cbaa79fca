# names.sh EMULATOR SKR SOURCES FLAG...: runs the emulator with the flags in a network of its own,
# adds its lines to /etc/hosts there, and runs the clients in SOURCES.
set -eu
emulator=$1 skr=$2 sources=$3
shift 3
ip link set lo up
ip address add 169.254.169.254/32 dev lo
"$emulator" serve --hosts --dir cloud --env-file env.sh --key demo/payroll "$@" >log 2>&1 &
cloud=$!
trap 'kill "$cloud" 2>/dev/null || true' EXIT
until [ -e env.sh ]; do
	kill -0 "$cloud" || { cat log; exit 1; }
	sleep 0.1
done
{ cat /etc/hosts; sed -n 's/^#hosts //p' env.sh; } >hosts
mount --bind hosts /etc/hosts
. ./env.sh
echo "python $(/usr/bin/python3 "$sources/names.py")"
echo "node $(NODE_EXTRA_CA_CERTS=$SKR_CA_FILE node "$sources/names.mjs")"
keytool -importcert -noprompt -alias ca -file "$SKR_CA_FILE" -keystore trust -storepass password 2>/dev/null
echo "java $(java -Djavax.net.ssl.trustStore=trust -Djavax.net.ssl.trustStorePassword=password "$sources/Names.java")"
echo "skr $("$skr" release --authority "$MAA_ENDPOINT" --vault "$AKV_ENDPOINT" --key payroll | grep -c '"kty":"RSA"')"
case " $* " in *' --real-names '*) echo "azure $(REQUESTS_CA_BUNDLE=$SKR_CA_FILE /usr/bin/python3 "$sources/identity.py")" ;; esac
kill "$cloud"
wait "$cloud"
[ ! -e env.sh ] || echo "env.sh is left"
