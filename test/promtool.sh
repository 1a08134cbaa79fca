#!/bin/sh
# Makes DIR/promtool Debian's promtool, without installing the package prometheus, whose server would start.
#
#	sh test/promtool.sh DIR
set -eu
mkdir -p "$1"
cd "$1"
[ -x promtool ] && exit
apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root download prometheus
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components 3 ./usr/bin/promtool
rm prometheus_*.deb
./promtool --version
