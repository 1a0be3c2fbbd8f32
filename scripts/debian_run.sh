#!/bin/sh
# debian_run.sh DIR COMMAND...: run a command inside the folder that debian_folder.sh made.
# /proc, /sys and /dev are mounted in a private namespace that ends with the command.
set -eu

folder=${1:?usage: debian_run.sh DIR COMMAND...}
if [ -z "${KEYPORTRAIT_PRIVATE_MOUNTS:-}" ]; then
    exec env KEYPORTRAIT_PRIVATE_MOUNTS=1 unshare --mount --propagation private --kill-child \
        --pid --fork sh "$0" "$@"
fi
shift
for mount in sys dev; do mount --rbind "/$mount" "$folder/$mount"; done
mount -t proc proc "$folder/proc"
exec chroot "$folder" "$@"
