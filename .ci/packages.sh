#!/usr/bin/env bash
# Installs the Debian packages named as arguments, those that are missing, and says so in one line.
# Without administrator rights, without apt or without network it says what to install and leaves
# with status 1; the caller decides whether it can go on.
set -euo pipefail

missing=()
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: ${missing[*]} missing and this system has no apt: install the like of it by its own means." >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
  as_root=(env DEBIAN_FRONTEND=noninteractive)
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n env DEBIAN_FRONTEND=noninteractive)
else
  echo "setup: ${missing[*]} missing: run 'sudo apt-get install ${missing[*]}', then make again." >&2
  exit 1
fi

echo "setup: installing Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install=(apt-get install --yes --no-install-recommends -qq "${missing[@]}")
# A machine fresh from its image has no package lists; one that has them is spared the refresh.
if ! "${as_root[@]}" "${install[@]}" >"$log" 2>&1; then
  if ! { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" "${install[@]}"; } >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "setup: apt could not install ${missing[*]}: look at the network and the package sources, then make again." >&2
    exit 1
  fi
fi
