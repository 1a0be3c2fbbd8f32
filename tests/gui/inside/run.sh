#!/bin/sh
# Inside the Debian folder: install the zip with Blender's own command, then drive Blender's window.
# usage: run.sh FOLDER [DRIVER]; the folder holds the zip, the picture and the driver, drive.py by
# default; results go to FOLDER/out.
set -eu

folder=$1
driver=${2:-drive.py}
cd "$folder"
export HOME="$folder/home" XDG_RUNTIME_DIR="$folder/runtime"
export LIBGL_ALWAYS_SOFTWARE=1 GALLIUM_DRIVER=llvmpipe PYTHONDONTWRITEBYTECODE=1
# A sound device that nobody hears: it plays in real time.
export ALSOFT_DRIVERS=null
mkdir -p "$HOME" "$XDG_RUNTIME_DIR" out
chmod 700 "$XDG_RUNTIME_DIR"

# Every driver of a session starts from the same fresh installation.
installed=../keyportrait-home
if [ -d "$installed" ]; then
    rm -rf "$HOME"
    cp -a "$installed" "$HOME"
else
    blender --command extension install-file -r user_default --enable ./*.zip
    # The splash screen would swallow the first click; a file browser of its own needs a window manager;
    # anti-aliasing that goes on over many redraws would make screenshots differ.
    blender -b --python-exit-code 1 --python-expr "
import bpy
preferences = bpy.context.preferences
preferences.view.show_splash = False
preferences.view.filebrowser_display_type = 'SCREEN'
preferences.system.viewport_aa = 'FXAA'
preferences.use_preferences_save = False
bpy.ops.wm.save_userpref()"
    cp -a "$HOME" "$installed"
fi

# The server chooses a free display and writes its number when it is ready.
Xvfb -displayfd 3 -screen 0 1440x1200x24 +extension GLX -nolisten tcp 3>out/display 2>out/xvfb.log &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -s out/display ] && break
    sleep 1
done
DISPLAY=":$(cat out/display)"
export DISPLAY
timeout 420 blender --gpu-backend opengl --enable-event-simulate --window-geometry 0 0 1440 1200 \
    --python "$driver" -- "$folder"
