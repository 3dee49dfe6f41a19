#!/bin/sh
# Installs what the servers of this folder need: Java 17 and Maven. Does nothing, and needs no rights, where both are there.
set -eu

missing=
if [ -z "${JAVA_HOME:-}" ] || [ ! -x "$JAVA_HOME/bin/java" ]; then
	command -v java >/dev/null 2>&1 || missing="openjdk-17-jdk-headless"
fi
command -v mvn >/dev/null 2>&1 || missing="$missing maven"
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
	echo "install.sh: missing: $missing; there is no apt-get here: install Java 17 or newer and Maven 3.8 or newer by hand" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "install.sh: missing: $missing; run as root: apt-get install --no-install-recommends $missing" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# One update is enough for a machine whose package lists are empty or old; what fails here shows in the install.
apt-get update -qq || true
# shellcheck disable=SC2086 # a list of names
apt-get install -y -qq --no-install-recommends $missing
