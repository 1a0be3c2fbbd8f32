"""Motion templates: what a driving performance looks like once M has read it (.pkl files)."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from .geometry import KEYPOINT_COUNT, KeypointMotion
from .ratios import OpeningRatios
from .template_reader import TemplateError, read_records

__all__ = ["MotionTemplate", "TemplateError", "read_template", "write_template"]

MAX_FRAMES = 1_000_000


@dataclass(frozen=True)
class MotionTemplate:
    """The motion of T driving frames.

    rotation     (T, 3, 3) head rotation R
    expression   (T, 21, 3)
    translation  (T, 3)
    scale        (T,)
    fps          frames per second of the performance
    ratios       opening ratios of eyes and lips, or None where the template has none
    keypoints    (T, 21, 3) canonical keypoints, or None
    """

    rotation: np.ndarray
    expression: np.ndarray
    translation: np.ndarray
    scale: np.ndarray
    fps: float = 25.0
    ratios: OpeningRatios | None = None
    keypoints: np.ndarray | None = None

    @classmethod
    def from_motion(
        cls, motion: KeypointMotion, fps: float, ratios: OpeningRatios | None = None
    ) -> MotionTemplate:
        """The template of frames that M has seen."""
        return cls(
            rotation=motion.rotation,
            expression=motion.expression,
            translation=motion.translation,
            scale=motion.scale,
            fps=fps,
            ratios=ratios,
            keypoints=motion.keypoints,
        )

    def __len__(self) -> int:
        return len(self.expression)

    def __getitem__(self, frames: slice | np.ndarray) -> MotionTemplate:
        """Some of the frames, chosen by a slice or an index array."""
        chosen = {
            field.name: getattr(self, field.name)[frames]
            for field in fields(self)
            if field.name != "fps" and getattr(self, field.name) is not None
        }
        return replace(self, **chosen)

    @property
    def points(self) -> np.ndarray | None:
        """(T, 21, 3) keypoints in the driving crops, where the canonical ones are known."""
        if self.keypoints is None:
            return None
        moved = self.scale[:, None, None] * (self.keypoints @ self.rotation + self.expression)
        moved[..., :2] += self.translation[:, None, :2]
        return moved.astype(np.float32)


def read_template(path: Path) -> MotionTemplate:
    """Read a LivePortrait template, old or new, without running anything that is in it.

    Raises TemplateError for anything that is not a whole template, OSError for file trouble.
    """
    data = read_records(path)
    name = path.name
    motion = data.get("motion")
    if not isinstance(motion, list) or not motion:
        raise TemplateError(f"'{name}' holds no motion: it is no LivePortrait template.")
    stated = data.get("n_frames", len(motion))
    if len(motion) > MAX_FRAMES or np.ndim(stated) or stated != len(motion):
        raise TemplateError(f"'{name}' is damaged: {len(motion)} frames do not fit its header.")
    first = motion[0] if isinstance(motion[0], dict) else {}
    return MotionTemplate(
        rotation=_stack(name, motion, "R" if "R" in first else "R_d", (3, 3)),
        expression=_stack(name, motion, "exp", (KEYPOINT_COUNT, 3)),
        translation=_stack(name, motion, "t", (3,)),
        scale=_stack(name, motion, "scale", ()),
        fps=_frame_rate(name, data.get("output_fps", 25)),
        ratios=_ratios(name, data, len(motion)),
        keypoints=_stack(name, motion, "kp", (KEYPOINT_COUNT, 3)) if "kp" in first else None,
    )


def write_template(path: Path, template: MotionTemplate) -> None:
    """Write a template that LivePortrait and its relatives can load. Raises OSError."""
    points = template.points
    motion: list[dict[str, np.ndarray]] = []
    for i in range(len(template)):
        frame = {
            "scale": template.scale[i].reshape(1, 1),
            "R": template.rotation[i][None],
            "exp": template.expression[i][None],
            "t": template.translation[i][None],
        }
        if template.keypoints is not None and points is not None:
            frame |= {"kp": template.keypoints[i][None], "x_s": points[i][None]}
        motion.append({key: np.array(value, np.float32) for key, value in frame.items()})
    rate = int(template.fps) if float(template.fps).is_integer() else float(template.fps)
    data: dict[str, Any] = {"n_frames": len(motion), "output_fps": rate, "motion": motion}
    if template.ratios is not None:
        data["c_eyes_lst"] = [np.array(row[None], np.float32) for row in template.ratios.eyes]
        data["c_lip_lst"] = [np.array(row[None], np.float32) for row in template.ratios.lips]
    path.write_bytes(pickle.dumps(data, protocol=4))


def _stack(name: str, rows: list[Any], key: str, shape: tuple[int, ...]) -> np.ndarray:
    """One entry of every frame as (T, *shape) float32."""
    size = int(np.prod(shape))
    stacked = np.empty((len(rows), size), np.float32)
    for i, row in enumerate(rows):
        value = row.get(key) if isinstance(row, dict) else None
        if not isinstance(value, np.ndarray) or value.size != size:
            raise TemplateError(f"'{name}' is damaged: frame {i} has no usable '{key}'.")
        stacked[i] = value.ravel()
    if not np.isfinite(stacked).all():
        raise TemplateError(f"'{name}' is damaged: '{key}' holds values that are no numbers.")
    return stacked.reshape(len(rows), *shape)


def _ratios(name: str, data: dict[str, Any], count: int) -> OpeningRatios | None:
    lists = []
    for keys, size in ((("c_eyes_lst", "c_d_eyes_lst"), 2), (("c_lip_lst", "c_d_lip_lst"), 1)):
        rows = next((data[key] for key in keys if data.get(key)), None)
        if not isinstance(rows, list):
            return None
        if len(rows) != count:
            raise TemplateError(f"'{name}' is damaged: {len(rows)} ratios for {count} frames.")
        lists.append(_stack(name, [{"ratios": row} for row in rows], "ratios", (size,)))
    return OpeningRatios(eyes=lists[0], lips=lists[1])


def _frame_rate(name: str, value: Any) -> float:
    is_number = isinstance(value, (int, float, np.ndarray)) and np.size(value) == 1
    rate = float(np.ravel(value)[0]) if is_number else float("nan")
    if not 0.0 < rate <= 1000.0:
        raise TemplateError(f"'{name}' is damaged: its frame rate is {repr(value)[:40]}.")
    return rate
