# KeyPortrait: everything from a fresh clone, on a machine with Python 3.11 and make.
# `make help` lists the targets. Tools and environments go to .venv and build/, nothing else.

PYTHON ?= python3.11
DEVICE ?= cpu
TEST_ARGS ?=

VENV := .venv
UV := $(VENV)/bin/uv
ENVS := build/envs
REQUIREMENTS := scripts/requirements
ENGINE := engine/requirements
RUN := $(VENV)/bin/python
CHECK := $(ENVS)/check/bin
UNIT := $(ENVS)/unit/bin/python
COMPILE := $(UV) pip compile -q --no-header --no-annotate
PYTEST := -m pytest -c tests/pytest.ini --rootdir tests
DEBIAN ?= $(CURDIR)/build/debian

export PYTHONDONTWRITEBYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help check format lock test test-unit test-blender test-blender-4.5.15 test-blender-5.0.1 test-embedded test-all test-gui test-setup wheels models zip \
	repository demo gallery read-clip closed-loop round-trip drive-check video-check speak-check bench bench-live bench-neural parity clean system

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */  make \1\t/' | expand -t 26

# ---- environments ------------------------------------------------------------------------------

$(UV): $(REQUIREMENTS)/uv.txt
	@echo "Setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install -q -r $<
	@touch $@

$(ENVS)/%/.ready: $(REQUIREMENTS)/%.txt $(UV)
	@echo "Setting up $(ENVS)/$*"
	@$(UV) venv -q --clear --python $(RUN) $(ENVS)/$*
	@$(UV) pip install -q --python $(ENVS)/$* -r $<
	@touch $@

# The CPU build of torch is enough and a tenth of the size: from where pip is told to look, else
# from PyTorch's own index (uv knows it), else whatever the package index has.
$(ENVS)/unit/.torch: $(REQUIREMENTS)/torch.txt $(ENVS)/unit/.ready
	@echo "Installing torch for the network tests"
	@sed 's/$$/+cpu/' $< >$(ENVS)/unit/torch-cpu.txt
	@$(RUN) -m pip --python $(ENVS)/unit/bin/python install -q -r $(ENVS)/unit/torch-cpu.txt 2>/dev/null \
		|| $(UV) pip install -q --python $(ENVS)/unit --torch-backend=cpu -r $< 2>/dev/null \
		|| $(RUN) -m pip --python $(ENVS)/unit/bin/python install -q -r $<
	@touch $@

# Without its dependencies: it asks for a second OpenCV that would overwrite ours.
$(ENVS)/unit/.insightface: engine/requirements/insightface.txt $(ENVS)/unit/.ready
	@$(UV) pip install -q --no-deps --python $(ENVS)/unit -r $<
	@touch $@

# Blender's wheels need a few X11 libraries even without a window.
system: $(UV)
	@$(RUN) scripts/system_libraries.py

lock: $(UV)  ## Pin the requirements files again from their .in files
	@for name in $(patsubst $(REQUIREMENTS)/%.in,%,$(filter-out %/bpy-5.2.3.in,$(wildcard $(REQUIREMENTS)/*.in))); do \
		$(COMPILE) --python-version 3.11 $(REQUIREMENTS)/$$name.in -o $(REQUIREMENTS)/$$name.txt || exit 1; done
	@$(COMPILE) --python-version 3.13 $(REQUIREMENTS)/bpy-5.2.3.in -o $(REQUIREMENTS)/bpy-5.2.3.txt
	@for name in uv engine; do $(COMPILE) --generate-hashes --universal --python-version 3.11 \
		$(ENGINE)/$$name.in -o $(ENGINE)/$$name.txt || exit 1; done
	@$(COMPILE) --generate-hashes --no-deps --python-version 3.11 $(ENGINE)/insightface.in -o $(ENGINE)/insightface.txt
	@for name in cuda-cu126 cuda-cu130; do $(COMPILE) --generate-hashes --python-version 3.11 \
		--python-platform x86_64-manylinux_2_28 $(ENGINE)/$$name.in -o $(ENGINE)/$$name.txt || exit 1; done
	@echo "PyTorch's own wheels are pinned by scripts/lock_torch.py: see there."

# ---- checks and tests --------------------------------------------------------------------------

check: $(ENVS)/check/.ready  ## Lint, format, types, layers and house rules
	$(CHECK)/ruff check .
	$(CHECK)/ruff format --check .
	$(CHECK)/pyright --level error
	$(CHECK)/python $(PYTEST) -q tests/unit/test_layers.py tests/unit/test_house.py

format: $(ENVS)/check/.ready  ## Format the code in place
	$(CHECK)/ruff format .
	$(CHECK)/ruff check --fix-only --select I .

test: test-unit test-blender  ## Unit tests, and the installed zip in Blender 4.5 and 5.0

test-unit: $(ENVS)/unit/.torch $(ENVS)/unit/.insightface models  ## Unit tests, without Blender
	$(UNIT) $(PYTEST) tests/unit $(TEST_ARGS)

# Targets of their own, so that `make -j2 test` uses two cores.
test-blender: test-blender-4.5.15 test-blender-5.0.1 test-embedded  ## The installed zip in bpy 4.5.15 and 5.0.1, the embedded one in part

test-blender-4.5.15 test-blender-5.0.1: test-blender-%: system zip $(ENVS)/bpy-%/.ready
	$(RUN) scripts/run_blender_tests.py $* -- $(TEST_ARGS)

test-embedded: system zip $(ENVS)/bpy-4.5.15/.ready
	$(MAKE) zip FLAVOUR=embedded
	$(RUN) scripts/run_blender_tests.py 4.5.15 --flavour embedded -- -k "embedded or registration or source or test_render" $(TEST_ARGS)

test-setup: system zip $(ENVS)/unit/.torch $(ENVS)/bpy-4.5.15/.ready  ## Set Up LivePortrait for real, then the add-on on the networks
	$(UNIT) scripts/prepare_setup.py
	KEYPORTRAIT_WHEELS=$(CURDIR)/build/wheelhouse KEYPORTRAIT_SCHEME_WEIGHTS=$(CURDIR)/build/scheme-weights \
		$(RUN) scripts/run_blender_tests.py 4.5.15 -- -k test_networks $(TEST_ARGS)

test-all: test $(ENVS)/bpy-4.2.23/.ready test-gui  ## test, bpy 4.2.23 and 5.2.3, and the GUI test
	$(RUN) scripts/run_blender_tests.py 4.2.23 -- $(TEST_ARGS)
	$(RUN) scripts/run_blender_tests.py 5.2.3 --debian $(DEBIAN) -- $(TEST_ARGS)

test-gui: zip $(ENVS)/unit/.ready $(DEBIAN)/.ready  ## Real Blender under Xvfb (root, Debian): clicks, screenshots
	KEYPORTRAIT_DEBIAN=$(DEBIAN) $(UNIT) $(PYTEST) tests/gui $(TEST_ARGS)

$(DEBIAN)/.ready: scripts/debian_folder.sh
	sh scripts/debian_folder.sh $(DEBIAN)

# ---- the extension -----------------------------------------------------------------------------

wheels: $(UV)  ## Fetch the wheels that the zip bundles
	@$(RUN) scripts/fetch_wheels.py

models: $(UV)  ## Fetch the face models of the embedded renderer, and the model that hears speech
	@$(RUN) scripts/fetch_models.py
	@$(RUN) scripts/fetch_speech_model.py

zip: wheels models $(ENVS)/bpy-4.5.15/.ready  ## Build and check the extension's zips in build/dist; FLAVOUR=embedded
	@$(RUN) scripts/build_zip.py $(if $(FLAVOUR),--flavour $(FLAVOUR))

repository: wheels models $(ENVS)/bpy-4.5.15/.ready  ## Zips with a static index, for a repository of one's own
	@$(RUN) scripts/build_zip.py --index

# ---- see it work -------------------------------------------------------------------------------

demo: system zip $(ENVS)/bpy-4.5.15/.ready $(ENVS)/demo/.ready  ## A photograph comes alive: film, contact sheet, .blend
	@$(ENVS)/demo/bin/python scripts/demo.py

gallery: $(ENVS)/unit/.ready models  ## The pictures of docs/gallery.md, from art that packages ship (Debian)
	@mkdir -p build/gallery
	@ls build/gallery/matplotlib-*.whl >/dev/null 2>&1 \
		|| $(RUN) -m pip download -q --no-deps --dest build/gallery matplotlib==3.10.8
	@ls build/gallery/gcompris-qt-data_*.deb >/dev/null 2>&1 \
		|| (cd build/gallery && apt-get download -q gcompris-qt-data)
	@$(UNIT) scripts/gallery.py build/gallery docs/images

read-clip: $(ENVS)/unit/.ready models  ## Print what the engine sees in a clip: CLIP=FILE [OUT=JSON]
	@test -n "$(CLIP)" || { echo "usage: make read-clip CLIP=FILE [OUT=JSON]"; exit 2; }
	@$(UNIT) scripts/read_clip.py "$(CLIP)" $(if $(OUT),--json "$(OUT)")

closed-loop: $(ENVS)/unit/.ready models  ## Measure every control, and how results look: IMAGES=DIR OUT=DIR
	@test -n "$(IMAGES)" -a -n "$(OUT)" || { echo "usage: make closed-loop IMAGES=DIR OUT=DIR"; exit 2; }
	$(UNIT) scripts/closed_loop.py "$(IMAGES)" "$(OUT)"

round-trip: $(ENVS)/unit/.ready models  ## Capture our own renders of keyed sliders, and compare: IMAGES=DIR OUT=DIR
	@test -n "$(IMAGES)" -a -n "$(OUT)" || { echo "usage: make round-trip IMAGES=DIR OUT=DIR"; exit 2; }
	$(UNIT) scripts/round_trip.py "$(IMAGES)" "$(OUT)"

drive-check: $(ENVS)/unit/.ready models  ## Drive pictures with clips and templates, and measure: SOURCES=DIR DRIVERS=DIR OUT=DIR
	@test -n "$(SOURCES)" -a -n "$(DRIVERS)" -a -n "$(OUT)" || { echo "usage: make drive-check SOURCES=DIR DRIVERS=DIR OUT=DIR"; exit 2; }
	$(UNIT) scripts/drive_check.py "$(SOURCES)" "$(DRIVERS)" "$(OUT)"

video-check: $(ENVS)/unit/.ready models  ## Edit clips as an artist would, and measure: CLIPS=DIR OUT=DIR [FRAMES=60]
	@test -n "$(CLIPS)" -a -n "$(OUT)" || { echo "usage: make video-check CLIPS=DIR OUT=DIR [FRAMES=60]"; exit 2; }
	$(UNIT) scripts/video_check.py "$(CLIPS)" "$(OUT)" $(if $(FRAMES),--frames "$(FRAMES)")

speak-check: $(ENVS)/unit/.ready models  ## Let a picture speak sounds with NAME.phones beside them, and measure: SOUNDS=DIR OUT=DIR [SOURCE=FILE]
	@test -n "$(SOUNDS)" -a -n "$(OUT)" || { echo "usage: make speak-check SOUNDS=DIR OUT=DIR [SOURCE=FILE]"; exit 2; }
	$(UNIT) scripts/speak_check.py "$(SOUNDS)" "$(OUT)" $(if $(SOURCE),--source "$(SOURCE)")

bench: system zip $(ENVS)/unit/.ready $(ENVS)/bpy-4.5.15/.ready $(ENVS)/demo/.ready  ## Speed and memory; build/bench.json
	$(UNIT) scripts/bench.py

bench-live: system zip $(ENVS)/unit/.ready $(ENVS)/bpy-4.5.15/.ready $(ENVS)/demo/.ready  ## How fast a portrait follows the camera; build/bench-live.json
	$(UNIT) scripts/bench_live.py

bench-neural: $(ENVS)/unit/.torch  ## Speed of the networks; build/bench-neural.json
	$(UNIT) scripts/bench_neural.py

parity: $(ENVS)/unit/.torch $(ENVS)/unit/.insightface  ## Compare with golden numbers: GOLDEN=DIR [TEMPLATES=DIR] [DEVICE=cpu|cuda]
	@test -n "$(GOLDEN)" || { echo "usage: make parity GOLDEN=DIR [TEMPLATES=DIR] [DEVICE=cpu|cuda]"; exit 2; }
	$(UNIT) scripts/parity.py "$(GOLDEN)" --device "$(DEVICE)" $(if $(TEMPLATES),--templates "$(TEMPLATES)")

clean:  ## Remove what the targets made, but for .venv, wheels and models
	rm -rf --one-file-system build
