#!/bin/sh
# Installs what the Makefile's targets need besides git, make and Go, by apt-get, and only what is missing.
#
#   deploy/install-deps.sh demo   nothing but Go
#   deploy/install-deps.sh test   Java and Maven (the tests' ZooKeeper and HDFS), a C compiler (the race detector)
#
# Run it as root, or install by hand what it names.
set -eu

fail() {
	echo "install-deps: $*" >&2
	exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# A compiler without its headers is not enough.
compiles_c() {
	have gcc && printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | gcc -x c -o /dev/null - 2>/dev/null
}

# Debian 12 has Java 17; later ones have only newer ones, which do as well.
java_package() {
	if apt-cache show openjdk-17-jdk-headless >/dev/null 2>&1; then
		echo openjdk-17-jdk-headless
	else
		echo default-jdk-headless
	fi
}

have go || fail "there is no go on the PATH: install Go 1.26 (https://go.dev/dl)"

case "${1:-}" in
demo) exit 0 ;;
test) ;;
*) fail "usage: $0 demo|test" ;;
esac

missing=""
have java || missing="$missing java"
have mvn || missing="$missing mvn"
compiles_c || missing="$missing gcc"
[ -n "$missing" ] || exit 0

have apt-get || fail "missing:$missing; and there is no apt-get here: install Java 17, Maven and a C compiler by hand"
[ "$(id -u)" = 0 ] || fail "missing:$missing; run as root once: apt-get install openjdk-17-jdk-headless maven gcc libc6-dev"

export DEBIAN_FRONTEND=noninteractive
apt_get() { apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >&2; }

echo "install-deps: missing:$missing" >&2
apt_get update || fail "apt-get update failed"
packages=""
case "$missing" in *java*) packages="$packages $(java_package)" ;; esac
case "$missing" in *mvn*) packages="$packages maven" ;; esac
case "$missing" in *gcc*) packages="$packages gcc libc6-dev" ;; esac
echo "install-deps: apt-get install$packages" >&2
# shellcheck disable=SC2086 # a list of words
apt_get install --no-install-recommends -y $packages || fail "apt-get install$packages failed"

have java || fail "apt-get succeeded, but there is still no java on the PATH"
have mvn || fail "apt-get succeeded, but there is still no mvn on the PATH"
compiles_c || fail "apt-get succeeded, but gcc still does not compile a C program"
