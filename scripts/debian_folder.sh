#!/bin/sh
# debian_folder.sh DIR: a Debian 13 folder with a real Blender (4.3), Xvfb and what a GUI test needs.
# Root on Debian or Ubuntu only; about 1.3 GB and two minutes. Mounts live in a private mount
# namespace and end with this script, so the folder can be removed like any other.
set -eu

folder=${1:?usage: debian_folder.sh DIR}
suite=trixie

[ "$(id -u)" = 0 ] || { echo "debian_folder.sh: needs root (debootstrap and chroot)" >&2; exit 1; }
if [ -z "${KEYPORTRAIT_PRIVATE_MOUNTS:-}" ]; then
    exec env KEYPORTRAIT_PRIVATE_MOUNTS=1 unshare --mount --propagation private sh "$0" "$@"
fi

if ! command -v debootstrap >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends debootstrap
fi
# The mirror that this machine itself uses.
mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" { print $2; exit }' /etc/apt/sources.list 2>/dev/null || true)

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
if [ ! -x "$folder/usr/bin/apt-get" ]; then
    echo "Making a Debian $suite folder in $folder"
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$folder" \
        ${mirror:+"$mirror"} >"$folder.log" 2>&1 || { tail "$folder.log"; exit 1; }
fi
for mount in proc sys dev; do mount --rbind "/$mount" "$folder/$mount"; done
cp -L /etc/resolv.conf "$folder/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$folder/etc/ssl/certs/"
# Documentation and translations would double the size.
printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n' \
    >"$folder/etc/dpkg/dpkg.cfg.d/slim"
DEBIAN_FRONTEND=noninteractive chroot "$folder" sh -ec '
    apt-get update -qq
    apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \
        blender xvfb xdotool imagemagick libgl1-mesa-dri libegl1 libxxf86vm1 libsm6 libice6 \
        python3-numpy python3-requests python3-venv >/dev/null
    apt-get clean'
touch "$folder/.ready"
echo "Real Blender in $folder: $(chroot "$folder" blender --version | head -n 1)"
