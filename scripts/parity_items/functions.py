"""functions.npz: geometry, crops, ratios, smoothing, paste-back, cropper, detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from official_driving import motion_multiplier

from engine.liveportrait import crop, paste_back, retargeting
from engine.liveportrait.layouts import anchor_points
from engine.liveportrait.quirks import OFFICIAL
from engine.performance import ratios, smoothing
from engine.performance.geometry import (
    KeypointMotion,
    degrees_from_bins,
    rotation_matrix,
)
from engine.performance.lip_rest import LIP_REST

from . import official
from .comparing import compare_all, compare_image
from .cropper import cropper_outputs
from .face_models import detector_outputs, landmark106_outputs
from .golden import UNUSABLE, Golden, Row, compare, reason
from .networks import summary

FILE = "functions.npz"
Arrays = Mapping[str, np.ndarray]
Outputs = dict[str, np.ndarray]
ANGLE_TOLERANCE = 1e-3
CROPS = {
    "src512": crop.SOURCE_CROP,
    "norot": crop.CropOptions(use_rotation=False),
    "lmk224": crop.LANDMARK_CROP,
    "vx": crop.CropOptions(scale=1.8, vx_ratio=0.2, vy_ratio=0.1),
}


def rows(golden: Golden) -> Iterator[Row]:
    """Every recorded array of functions.npz that is no input."""
    recorded = golden.arrays(FILE)
    for function in dict.fromkeys(key.split("/")[0] for key in recorded):
        if function in INPUTS:
            continue
        ours, note = _computed(golden, recorded, function)
        for row in compare_all(recorded, f"{function}/", ours, note):
            yield _special(row, recorded, ours)
        if function in recorded and function in ours:
            yield compare(function, ours[function], recorded[function], 1e-5)
        elif function in recorded:
            yield Row(function, np.inf, 0.0, note)


INPUTS = ("img_small_u8",)


def _computed(golden: Golden, recorded: Arrays, function: str) -> tuple[Outputs, str]:
    """What we compute for a function, and why not where we cannot."""
    if function not in COMPUTE:
        return {}, "no rule for this array"
    try:
        return COMPUTE[function](golden, recorded), "no rule for this array"
    except UNUSABLE as error:
        return {}, reason(error)


def _special(row: Row, recorded: Arrays, ours: Outputs) -> Row:
    """Rows whose tolerance the name of the array does not tell."""
    function, _, name = row.item.partition("/")
    if name not in ours:
        return row
    if function == "headpose_pred_to_degree":
        return compare(row.item, ours[name], recorded[row.item], ANGLE_TOLERANCE)
    if name.endswith("summary"):
        count = 1.0 if "template" in name else float(ours[f"{name}_count"])
        scale = np.array([count, 1, 1, 1, 1, count])
        return compare(row.item, ours[name] / scale, recorded[row.item] / scale, 1e-3)
    if function == "prepare_source":
        scaled = [np.rint(255 * a) for a in (ours[name], recorded[row.item])]
        return compare_image(row.item, *scaled)
    return row


def _cases(recorded: Arrays, function: str) -> list[str]:
    """The second path element of a function's keys, each once."""
    parts = [key.split("/") for key in recorded if key.startswith(f"{function}/")]
    return list(dict.fromkeys(part[1] for part in parts))


def _degrees(_golden: Golden, a: Arrays) -> Outputs:
    return {"out_deg": degrees_from_bins(a["headpose_pred_to_degree/in_logits"])}


def _rotations(_golden: Golden, a: Arrays) -> Outputs:
    return {"out_R": rotation_matrix(*a["get_rotation_matrix/in_pitch_yaw_roll_deg"].T)}


def _transform(_golden: Golden, a: Arrays) -> Outputs:
    names = ("kp", "exp", "pitch", "yaw", "roll", "t", "scale")
    kp, exp, pitch, yaw, roll, t, scale = (a[f"transform_keypoint/in_{n}"] for n in names)
    motion = KeypointMotion(
        kp, exp, pitch.ravel(), yaw.ravel(), roll.ravel(), t, scale.ravel()
    )  # fmt: skip
    return {"out_x": motion.points}


def _stitching(golden: Golden, a: Arrays) -> Outputs:
    source, driving = a["stitching/in_kp_source"], a["stitching/in_kp_driving"]
    return {"out": retargeting.stitched(golden.models, source, driving)}


def _retarget_eye(golden: Golden, a: Arrays) -> Outputs:
    offsets = golden.models.eye_retargeting(
        a["transform_keypoint/out_x"], a["retarget_eye/in_ratio"]
    )
    return {"out_delta": offsets.reshape(-1, 21, 3)}


def _retarget_lip(golden: Golden, a: Arrays) -> Outputs:
    offsets = golden.models.lip_retargeting(
        a["transform_keypoint/out_x"], a["retarget_lip/in_ratio"]
    )
    return {"out_delta": offsets.reshape(-1, 21, 3)}


def _source_ratios(a: Arrays) -> ratios.OpeningRatios:
    return ratios.OpeningRatios.from_landmarks(a["close_ratio/in_lmk203"])


def _close_ratio(_golden: Golden, a: Arrays) -> Outputs:
    source = _source_ratios(a)
    return {"out_eye": source.eyes, "out_lip": source.lips}


def _combined_eye(_golden: Golden, a: Arrays) -> Outputs:
    target = float(a["combined_eye_ratio/in_target"][0])
    return {"out": ratios.eye_condition(_source_ratios(a), target)}


def _combined_lip(_golden: Golden, a: Arrays) -> Outputs:
    target = float(a["combined_lip_ratio/in_target"][0])
    return {"out": ratios.lip_condition(_source_ratios(a), target)}


def _crops(_golden: Golden, a: Arrays) -> Outputs:
    outputs: Outputs = {}
    for key, points in a.items():
        if not (key.startswith("crop/") and key.endswith("/in_pts")):
            continue
        case = key.removeprefix("crop/").removesuffix("/in_pts")
        square = crop.face_square(points, quirks=OFFICIAL)
        rect = np.array([*square.center, square.edge, square.edge, square.angle], np.float64)
        outputs[f"{case}/out_pt2_lip"] = _anchors(points, use_lip=True)
        outputs[f"{case}/out_pt2_eye"] = _anchors(points, use_lip=False)
        outputs[f"{case}/out_rect_cx_cy_w_h_angle"] = rect
        for name, options in CROPS.items():
            face = crop.crop_face(a["img_small_u8"], points, options, quirks=OFFICIAL)
            image = face.image if options.size == 224 else crop.network_input(face.image)
            outputs[f"{case}/{name}/M_o2c"] = face.image_to_crop
            outputs[f"{case}/{name}/M_c2o"] = face.crop_to_image
            outputs[f"{case}/{name}/pt_crop"] = crop.transform_points(points, face.image_to_crop)
            outputs[f"{case}/{name}/img_crop_u8"] = image
    return outputs


def _anchors(points: np.ndarray, *, use_lip: bool) -> np.ndarray:
    return anchor_points(points, use_lip=use_lip, guesses_point_layouts=True)


def _boxes(_golden: Golden, a: Arrays) -> Outputs:
    outputs: Outputs = {}
    cases = dict.fromkeys("/".join(k.split("/")[1:3]) for k in a if k.startswith("bbox/"))
    for case in cases:
        square = crop.face_square(a[f"crop/{case}/in_pts"], crop.DRIVING_CROP, quirks=OFFICIAL)
        outputs[f"{case}/out_center"] = square.center
        outputs[f"{case}/out_size"] = np.array([square.edge, square.edge])
        outputs[f"{case}/out_angle"] = np.array(square.angle)
        outputs[f"{case}/out_bbox"] = square.corners(use_rotation=False)
        outputs[f"{case}/out_bbox_rot"] = square.corners()
    return outputs


def _average_box(_golden: Golden, a: Arrays) -> Outputs:
    return {"out": np.array(crop.mean_box(a["average_bbox_lst/in"]))}


def _crop_by_box(_golden: Golden, a: Arrays) -> Outputs:
    face = crop.crop_box(a["img_small_u8"], crop.mean_box(a["average_bbox_lst/in"]))
    points = next(points for key, points in a.items() if key.startswith("crop/203/"))
    return {
        "img_crop_256_u8": crop.driving_input(face.image),
        "M_o2c": face.image_to_crop,
        "M_c2o": face.crop_to_image,
        "lmk_crop": crop.transform_points(points, face.image_to_crop),
    }


def _paste_back(golden: Golden, a: Arrays) -> Outputs:
    generated = [
        image
        for key, image in golden.arrays("networks.npz").items()
        if key.startswith("G/") and key.endswith("/img_u8") and image.shape[0] == 512
    ]
    template = np.floor(255 * paste_back.feather_mask().astype(np.float64)).astype(np.uint8)
    template = np.repeat(template[..., None], 3, axis=2)
    outputs: Outputs = {
        "mask_template_u8_sub": template[::4, ::4, 0],
        "mask_template_shape": np.array(template.shape),
        "mask_template_summary": summary(template),
    }
    image = a["img_small_u8"]
    for case in _cases(a, "paste_back"):
        if not case.isdigit() or int(case) >= len(generated):
            continue
        matrix = a[f"paste_back/{case}/M_c2o"]
        mask = official.official_mask(matrix, image.shape[:2])
        mask_rgb = np.repeat(mask, 3, axis=2)
        outputs[f"{case}/mask_ori_x255_u8"] = np.rint(255 * mask[..., 0])
        outputs[f"{case}/mask_summary"] = summary(mask_rgb)
        outputs[f"{case}/mask_summary_count"] = np.array(mask_rgb.size)
        outputs[f"{case}/out_u8"] = official.official_paste_back(
            generated[int(case)], matrix, image
        )
    return outputs


def _lip_rest(_golden: Golden, _a: Arrays) -> Outputs:
    return {"lip_array": LIP_REST}


def _multipliers(_golden: Golden, a: Arrays) -> Outputs:
    outputs: Outputs = {}
    for case in _cases(a, "calc_motion_multiplier"):
        prefix = f"calc_motion_multiplier/{case}/in_"
        value = motion_multiplier(a[f"{prefix}source"][0], a[f"{prefix}driving0"][0])
        outputs[f"{case}/out"] = np.array(value)
    return outputs


def _smoothed(_golden: Golden, a: Arrays) -> Outputs:
    outputs: Outputs = {}
    for case in _cases(a, "smooth"):
        values, variance = a[f"smooth/{case}/in"], float(a[f"smooth/{case}/obs_var"])
        outputs[f"{case}/out"] = smoothing.smooth(values, variance).reshape(-1, 21, 3)
    return outputs


def _limits(_golden: Golden, a: Arrays) -> Outputs:
    """The recorded row holds the input and the expected size; ours repeats the input."""
    outputs: Outputs = {}
    for case in _cases(a, "resize_to_limit"):
        name = f"{case}/in_h_w_max_div_out_h_w"
        height, width, longest, multiple, *_ = (int(v) for v in a[f"resize_to_limit/{name}"])
        image = np.zeros((height, width, 3), np.uint8)
        size = official.limit_size(image, longest, multiple).shape[:2]
        outputs[name] = np.array([height, width, longest, multiple, *size])
    return outputs


def _prepare_source(_golden: Golden, a: Arrays) -> Outputs:
    pixels = crop.driving_input(a["img_small_u8"]).astype(np.float32) / 255
    return {"out_sub": pixels.transpose(2, 0, 1)[:, ::4, ::4]}


COMPUTE: dict[str, Callable[[Golden, Arrays], Outputs]] = {
    "headpose_pred_to_degree": _degrees,
    "get_rotation_matrix": _rotations,
    "transform_keypoint": _transform,
    "stitching": _stitching,
    "retarget_eye": _retarget_eye,
    "retarget_lip": _retarget_lip,
    "close_ratio": _close_ratio,
    "combined_eye_ratio": _combined_eye,
    "combined_lip_ratio": _combined_lip,
    "crop": _crops,
    "bbox": _boxes,
    "average_bbox_lst": _average_box,
    "crop_image_by_bbox": _crop_by_box,
    "paste_back": _paste_back,
    "lip_array": _lip_rest,
    "calc_motion_multiplier": _multipliers,
    "smooth": _smoothed,
    "resize_to_limit": _limits,
    "prepare_source": _prepare_source,
    "cropper": cropper_outputs,
    "detector": detector_outputs,
    "landmark106": landmark106_outputs,
}
