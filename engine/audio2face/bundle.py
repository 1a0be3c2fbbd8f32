"""The files of an Audio2Face-3D model of one actor, read and held against one another."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..renderer import ReportedError
from .shapes import Regularization, ShapeSolver

HINT = "Download Audio2Face-3D again with Set Up LivePortrait, or choose another folder."
# What NVIDIA's program takes where an actor's configuration says nothing.
_STRENGTH = 1.0


class Bundle(NamedTuple):
    """What must be known of a model beside its network.

    rate        samples a second
    window      samples that the network hears at once
    lead        of them that lie before the moment that is asked for
    gain        what samples are multiplied with
    emotion     (E,) float32: the actor's manner, then the named emotions
    skin, outputs  how many of the network's numbers are about the skin, and how many there are
    solver      from those about the skin to weights of shapes
    """

    rate: int
    window: int
    lead: int
    gain: float
    emotion: np.ndarray
    skin: int
    outputs: int
    solver: ShapeSolver


def read_bundle(files: Mapping[str, Path]) -> Bundle:
    """The model whose files are given by their names without suffix, see weight_table.AUDIO2FACE.

    Raises ReportedError "no_models" that names the file.
    """
    network = _json(files["network_info"])
    config = _json(files["model_config"])
    shapes = _json(files["bs_skin_config"])
    try:
        if network["id"]["type"] != "regression":
            text = f"'{files['network_info'].parent}' holds another kind of Audio2Face-3D"
            raise _unusable(f"{text} ({network['id']['type']}), not v2.3.")
        sizes, sound = network["params"], network["audio_params"]
        skin = int(sizes["num_shapes_skin"])
        others = ("num_shapes_tongue", "result_jaw_size", "result_eyes_size")
        emotion = _emotion(files["implicit_emo_db"], sizes, config["config"])
        return Bundle(
            rate=int(sound["samplerate"]),
            window=int(sound["buffer_len"]),
            lead=int(sound["buffer_ofs"]),
            gain=float(config["config"].get("input_strength", _STRENGTH)),
            emotion=emotion,
            skin=skin,
            outputs=skin + sum(int(sizes[name]) for name in others),
            solver=_solver(files, skin, config["config"], shapes["blendshape_params"]),
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        folder = files["network_info"].parent
        text = f"The files of Audio2Face-3D in '{folder}' do not fit one another: {error}."
        raise _unusable(text) from error


def _unusable(text: str) -> ReportedError:
    return ReportedError("no_models", text, HINT)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unusable(f"'{path.name}' of Audio2Face-3D cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise _unusable(f"'{path.name}' of Audio2Face-3D is another file than expected.")
    return found


def _arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Some arrays of an .npz, nothing else of it is loaded."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return [file[name] for name in names]
    except KeyError as error:
        raise _unusable(f"'{path.name}' of Audio2Face-3D lacks {error}.") from error
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _unusable(f"'{path.name}' of Audio2Face-3D is damaged: {error}.") from error


def _names(array: np.ndarray) -> tuple[str, ...]:
    return tuple(n.decode("utf-8") if isinstance(n, bytes) else str(n) for n in array.tolist())


def _emotion(path: Path, sizes: Mapping[str, Any], config: Mapping[str, Any]) -> np.ndarray:
    """(E,) float32: how the actor was in a frame of a recording, and no emotion beside it."""
    moods, names, starts = _arrays(path, "emo_db", "emo_spec_names", "emo_spec_start")
    recording = _names(names).index(config["source_shot"])
    manner = moods[int(starts[recording]) + int(config["source_frame"])]
    if manner.shape != (int(sizes["implicit_emotion_len"]),):
        raise ValueError(f"'{path.name}' has {manner.shape} numbers of a manner")
    named = np.asarray(sizes["default_emotion"], np.float32)
    return np.concatenate([manner.astype(np.float32), named])


def _solver(
    files: Mapping[str, Path], skin: int, config: Mapping[str, Any], shapes: Mapping[str, Any]
) -> ShapeSolver:
    (pose_names, neutral, mask) = _arrays(files["bs_skin"], "poseNames", "neutral", "frontalMask")
    poses = [name for name in _names(pose_names) if name != "neutral"]
    offsets = np.stack([array[mask] for array in _arrays(files["bs_skin"], *poses)])
    size = float(np.linalg.norm(np.ptp(neutral.reshape(-1, 3), axis=0)))
    basis, mean, lips, lids = _arrays(
        files["model_data"],
        "shapes_matrix_skin",
        "shapes_mean_skin",
        "lip_open_pose_delta",
        "eye_close_pose_delta",
    )
    if basis.shape[0] != skin or basis.shape[1:] != neutral.shape:
        raise ValueError(f"a skin of {basis.shape}, shapes of {neutral.shape}")
    lower = _lower_face(mean[:, 1], config)[mask, None]
    strength = lower * float(config.get("lower_face_strength", _STRENGTH))
    strength = strength + (1.0 - lower) * float(config.get("upper_face_strength", _STRENGTH))
    constant = lips[mask] * float(config.get("lip_open_offset", 0.0))
    constant = constant - lids[mask] * float(config.get("eyelid_open_offset", 0.0))
    moved = basis[:, mask] * (strength * float(config.get("skin_strength", _STRENGTH)))
    return ShapeSolver(
        names=tuple(poses),
        shapes=offsets.reshape(len(poses), -1),
        motion=moved.reshape(skin, -1),
        rest=(mean[mask] - neutral[mask] + strength * constant).reshape(-1),
        regularization=Regularization.of(shapes, size),
        settings=shapes,
    )


def _lower_face(heights: np.ndarray, config: Mapping[str, Any]) -> np.ndarray:
    """(V,) 1 for the lower half of a face, 0 for the upper, soft between them."""
    span = max(float(np.ptp(heights)), 1e-9)
    share = (heights - heights.min()) / span
    softness = max(float(config.get("face_mask_softness", 0.0085)), 1e-6)
    away = (float(config.get("face_mask_level", 0.6)) - share) / softness
    return 1.0 / (1.0 + np.exp(-np.clip(away, -60.0, 60.0)))
