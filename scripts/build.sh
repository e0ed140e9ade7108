#!/bin/bash
# Installs what is missing (Debian 12, as root) and builds into build/. Quick where there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
while read -r package; do
	dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done <scripts/packages.txt
if [ ${#missing[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ]; then
		echo "these packages are missing, and only root can install them: ${missing[*]}" >&2
		exit 5
	fi
	echo "installing ${missing[*]}" >&2
	export DEBIAN_FRONTEND=noninteractive
	apt-get -qq update
	apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
fi
[ -f build/build.ninja ] || cmake -S . -B build -G Ninja >build.log 2>&1 || { cat build.log >&2; rm -f build.log; exit 1; }
rm -f build.log
ninja -C build --quiet
