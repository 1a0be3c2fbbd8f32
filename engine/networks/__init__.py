"""LivePortrait's networks in torch (arXiv 2407.03168), usable without the rest of the engine.

appearance.py    F  source picture -> 3-D feature volume
motion.py        M  picture -> canonical keypoints, head pose, expression, scale, translation
warping.py       W  feature volume + two keypoint sets -> warped 2-D features
generator.py     G  warped features -> picture
retargeting.py   S and R  stitching, eye and lip retargeting

weight_files.py  finds the published weight files, without torch
checkpoints.py   reads them, strictly
devices.py       which device, which precision
phases.py, fast_generator.py, fast_warping.py, spectral.py   the same mathematics with less work
torch_parts.py, openvino_parts.py, cuda_parts.py             run the fast modules on one device
memory.py        what to do when it runs out
network_set.py   everything above as one object that speaks numpy

The modules before the gap are the plain reading of the paper and the yardstick for the rest.
Attribute names follow the published state dicts, so that weights load without renaming.
"""

import os

# An operator that Apple's backend lacks then runs on the CPU; torch reads it when it is imported.
os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
