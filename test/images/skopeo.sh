#!/bin/sh
# Makes DIR/skopeo a skopeo that supports key providers. The installed skopeo is used if it
# supports them (in Debian since about skopeo 1.13). Otherwise Debian 13's skopeo is unpacked
# in DIR with its own libraries.
#
#	sh test/images/skopeo.sh DIR
set -eu
mkdir -p "$1"
dir=$(cd "$1" && pwd)
if command -v skopeo >/dev/null && grep -q keyprovider "$(command -v skopeo)"; then
	ln -sf "$(command -v skopeo)" "$dir/skopeo"
	exit
fi
[ -x "$dir/skopeo" ] && exit
mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/root"
: >"$dir/status"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] http://deb.debian.org/debian trixie main" >"$dir/sources.list"
apt() {
	apt-get -qq -o Acquire::Retries=3 -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State="$dir/state" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" "$@"
}
apt update
(cd "$dir/cache" && apt download skopeo libc6 libgpgme11t64 libassuan9 libgpg-error0 libsubid5 libdevmapper1.02.1 libsqlite3-0)
for package in "$dir"/cache/*.deb; do
	dpkg-deb -x "$package" "$dir/root"
done
cat >"$dir/skopeo" <<EOF
#!/bin/sh
exec "$dir/root/usr/lib64/ld-linux-x86-64.so.2" --library-path "$dir/root/usr/lib/x86_64-linux-gnu" "$dir/root/usr/bin/skopeo" "\$@"
EOF
chmod +x "$dir/skopeo"
"$dir/skopeo" --version >/dev/null
