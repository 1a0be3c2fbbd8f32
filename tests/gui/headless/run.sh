#!/bin/sh
# Inside the Debian folder: render without a window, with a working and with a broken engine.
# usage: run.sh FOLDER, which holds the zip, the picture and the scripts. For every render,
# FOLDER/NAME.status gets Blender's exit status and FOLDER/NAME.files what it wrote.
set -eu

folder=$1
cd "$folder"
export BLENDER_USER_RESOURCES="$folder/resources" PYTHONDONTWRITEBYTECODE=1
mkdir -p "$BLENDER_USER_RESOURCES"
blender -b --command extension install-file -r user_default --enable ./*.zip
blender -b --python-exit-code 1 -P make_scene.py -- "$folder"

render() {
    name=$1
    shift
    rm -rf out
    mkdir out
    status=0
    timeout 120 blender -b scene.blend "$@" > "$name.log" 2>&1 || status=$?
    echo "$status" > "$name.status"
    (cd out && for file in *; do [ -f "$file" ] && sha256sum "$file"; done) > "$name.files" || true
}

render animation -a
render still -f 3
render broken_animation -P break_engine.py -a
render broken_still -P break_engine.py -f 2
