#!/bin/sh
# Makes DIR/promtool Debian's promtool, without installing the package prometheus, whose server would start.
#
#	sh test/promtool.sh DIR
set -eu
mkdir -p "$1"
cd "$1"
./promtool --version >/dev/null 2>&1 && exit
rm -f promtool prometheus_*.deb # of a run that was interrupted
apt-get -qq -o Acquire::Retries=3 -o APT::Sandbox::User=root download prometheus
dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x --strip-components 3 ./usr/bin/promtool
rm prometheus_*.deb
./promtool --version
