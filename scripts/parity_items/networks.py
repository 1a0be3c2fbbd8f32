"""networks.npz: each network on its own, and W into G."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from engine.networks.retargeting import StitchingRetargeting
from engine.performance.geometry import KeypointMotion

from .golden import Golden, Row, compare

FILE = "networks.npz"
Outputs = dict[str, np.ndarray]
TOLERANCES = {
    "f_s": 2e-4,
    "raw": 2e-5,
    "angle": 1e-3,
    "x_s": 2e-5,
    "occlusion_map": 5e-5,
    "deformation": 2e-5,
    "out": 5e-4,
    "img": 1e-4,
    "img_u8": 1.0,
    "mlp": 1e-5,
}
MLP_METHODS = {"S": "retarget_shoulder", "lip": "retarget_mouth", "eye": "retarget_eye"}


def rows(golden: Golden) -> Iterator[Row]:
    """Every array of networks.npz but the inputs."""
    yield from rows_of(golden, FILE)


def rows_of(golden: Golden, file: str) -> Iterator[Row]:
    """Every output array of a file with networks.npz's keys; each case is computed once."""
    recorded = golden.arrays(file)
    cases: dict[tuple[str, str], list[str]] = {}
    for key in recorded:
        network, _, rest = key.partition("/")
        case, _, name = rest.partition("/")
        if network != "img" and name != "in" and not name.startswith("in_"):
            cases.setdefault((network, case), []).append(name)
    for (network, case), names in cases.items():
        compute = COMPUTE.get(network)
        ours = compute(golden, file, case) if compute else {}
        for name in names:
            item = f"{network}/{case}/{name}"
            if name in ours:
                yield _row(item, name, network, ours, recorded[item])
            else:
                yield Row(item, np.inf, 0.0, "no rule or no input for this array")


def _row(item: str, name: str, network: str, ours: Outputs, golden: np.ndarray) -> Row:
    tolerance = _tolerance(network, name)
    if name.endswith("_summary"):
        # Sums grow with the size of the array, so they are compared as means.
        count = float(ours[f"{name}_count"])
        scale = np.array([count, 1, 1, 1, 1, count])
        return compare(item, ours[name] / scale, golden / scale, tolerance)
    if name == "img_u8" and golden.shape != ours[name].shape:
        step = ours[name].shape[0] // golden.shape[0]
        return compare(item, ours[name][::step, ::step], golden, tolerance)
    return compare(item, ours[name], golden, tolerance)


def _tolerance(network: str, name: str) -> float:
    if network == "M":
        is_angle = name in ("info/pitch", "info/yaw", "info/roll")
        return TOLERANCES["angle" if is_angle else "raw"]
    if network == "MLP":
        return TOLERANCES["mlp"]
    if name == "img_u8":
        return TOLERANCES[name]
    return next(value for prefix, value in TOLERANCES.items() if name.startswith(prefix))


def summary(values: np.ndarray) -> np.ndarray:
    """[sum, mean, standard deviation (population), min, max, sum of magnitudes] in float64."""
    v = values.astype(np.float64)
    return np.array([v.sum(), v.mean(), v.std(), v.min(), v.max(), np.abs(v).sum()])


def _summaries(outputs: Outputs, **arrays: np.ndarray) -> Outputs:
    for name, array in arrays.items():
        outputs[f"{name}_summary"] = summary(array)
        outputs[f"{name}_summary_count"] = np.array(array.size)
    return outputs


def run(golden: Golden, name: str, *inputs: np.ndarray) -> Tensor | dict[str, Tensor] | tuple:
    """One network on numpy inputs."""
    with torch.inference_mode():
        return golden.network(name)(*(golden.tensor(x) for x in inputs))


def _appearance(golden: Golden, _file: str, case: str) -> Outputs:
    volume = feature_volume(golden, case)
    if volume is None:
        return {}
    v = volume[0]
    outputs = {
        "f_s_sub": v[::4, ::4, ::4, ::4],
        "f_s_channel_mean": v.astype(np.float64).mean(axis=(1, 2, 3)),
        "f_s_channel_std": v.astype(np.float64).std(axis=(1, 2, 3)),
    }
    return _summaries(outputs, f_s=volume)


def feature_volume(golden: Golden, image_name: str) -> np.ndarray | None:
    """f_s (1, 32, 16, 64, 64) of one of the input pictures."""
    image = golden.image(image_name)
    if image is None:
        return None
    return run(golden, "appearance_feature_extractor", image).cpu().numpy()


def _motion(golden: Golden, _file: str, case: str) -> Outputs:
    image = golden.image(case)
    if image is None:
        return {}
    raw = {k: v.cpu().numpy() for k, v in run(golden, "motion_extractor", image).items()}
    motion = KeypointMotion.from_heads(raw)
    info = {
        "pitch": motion.pitch[:, None],
        "yaw": motion.yaw[:, None],
        "roll": motion.roll[:, None],
        "t": motion.translation,
        "exp": motion.expression,
        "scale": motion.scale[:, None],
        "kp": motion.keypoints,
    }
    return {
        **{f"raw/{k}": v for k, v in raw.items()},
        **{f"info/{k}": v for k, v in info.items()},
        "R": motion.rotation,
        "x_s": motion.points,
    }


def _warping(golden: Golden, file: str, case: str) -> Outputs:
    warped = _warped(golden, file, case)
    if warped is None:
        return {}
    out, occlusion, deformation = warped
    outputs = {
        "occlusion_map": occlusion,
        "deformation_sub": deformation[0, ::2, ::4, ::4],
        "out_sub": out[0, ::8, ::4, ::4],
    }
    return _summaries(outputs, deformation=deformation, out=out)


def _warped(golden: Golden, file: str, case: str) -> tuple[np.ndarray, ...] | None:
    recorded: Mapping[str, np.ndarray] = golden.arrays(file)
    volume = _warping_input(golden, case)
    if volume is None or f"W/{case}/in_kp_source" not in recorded:
        return None
    source, driving = (recorded[f"W/{case}/in_kp_{x}"] for x in ("source", "driving"))
    with torch.inference_mode():
        prepared = golden.decoder.prepare(golden.tensor(volume))
        result = golden.decoder.warp(prepared, golden.tensor(source), golden.tensor(driving))
    return tuple(tensor.cpu().numpy() for tensor in result)


def _warping_input(golden: Golden, case: str) -> np.ndarray | None:
    """The volume of a case: drawn for "rand", else F of the picture that the case is named for.

    A case is named for its picture, as in "b" or "b_large"; other names use the first picture.
    """
    if case == "rand":
        return golden.draw("W.feature_3d", (1, 32, 16, 64, 64)).astype(np.float32)
    keys = [k for k in golden.arrays(FILE) if k.startswith("img/")]
    pictures = [key.removeprefix("img/").removesuffix("_u8") for key in keys]
    if not pictures:
        return None
    named = [p for p in pictures if p in case.split("_")]
    return feature_volume(golden, max(named, key=len) if named else pictures[0])


def _generator(golden: Golden, file: str, case: str) -> Outputs:
    feature = _generator_input(golden, file, case)
    if feature is None:
        return {}
    with torch.inference_mode():
        image = golden.decoder.generate(golden.tensor(feature)).cpu().numpy()
    u8 = np.clip(255 * image[0].transpose(1, 2, 0), 0, 255).astype(np.uint8)
    outputs = {
        "img_sub": image[0, :, ::8, ::8],
        "img_odd_sub": image[0, :, 5::16, 3::16],
        "img_u8": u8,
    }
    return _summaries(outputs, img=image)


def _generator_input(golden: Golden, file: str, case: str) -> np.ndarray | None:
    shape = (1, 256, 64, 64)
    if case == "rand":
        return golden.draw("G.feature", shape).astype(np.float32)
    if case == "tiny":
        return (1e-3 * golden.draw("G.feature.tiny", shape)).astype(np.float32)
    warped = _warped(golden, file, case)
    return None if warped is None else warped[0]


def _perceptron(golden: Golden, file: str, case: str) -> Outputs:
    inputs = golden.arrays(file).get(f"MLP/{case}/in")
    if inputs is None or case not in MLP_METHODS:
        return {}
    networks = golden.network("stitching_retargeting_module")
    if not isinstance(networks, StitchingRetargeting):
        raise TypeError(type(networks).__name__)
    with torch.inference_mode():
        network = networks.get_submodule(MLP_METHODS[case])
        return {"out": network(golden.tensor(inputs)).cpu().numpy()}


COMPUTE: dict[str, Callable[[Golden, str, str], Outputs]] = {
    "F": _appearance,
    "M": _motion,
    "W": _warping,
    "G": _generator,
    "MLP": _perceptron,
}
