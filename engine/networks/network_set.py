"""All networks of one model set as one object: numpy in, numpy out, one row per frame.

Pictures are (N, H, W, 3) float32 RGB, display-referred 0..1; keypoints are (N, 21, 3) float32.
This implements engine.liveportrait.model_set.ModelSet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..heap import trim_heap
from ..liveportrait.model_set import Decoded
from ..renderer import ReportedError
from .checkpoints import BUILDERS, load_network
from .decoders import Decoder, Frames, PlainDecoder, decode_frames
from .devices import Placement, choose_placement, use_device
from .fast_decoders import fast_decoder
from .generator import SpadeGenerator
from .memory import is_out_of_memory, release_memory
from .retargeting import StitchingRetargeting
from .warping import WarpingModule
from .weight_files import find_checkpoints

log = logging.getLogger(__name__)

PAIR = ("warping_module", "spade_generator")
LARGEST_BATCH = {"cuda": 8, "mps": 2, "cpu": 1}
# From so many overflowed batches in a row on, half precision is not tried any more.
MOST_OVERFLOWS = 3
REFUSED = "This device refuses the fast networks: continuing with the plain ones in fp32."
# Share of the loading time that reading the files takes; the rest prepares the networks.
FILES_PART = 0.4
ProgressCallback = Callable[[str, float], None]


@dataclass
class SourceFeatures:
    """What one portrait needs for every frame; keep it as long as the portrait is open.

    volume    (1, 32, 16, 64, 64) f_s on the set's device; of several portraits one row each
    prepared  {decoder: what it made of the volume}, filled when a decoder first runs
    """

    volume: Tensor
    prepared: dict[int, Any]

    def rows(self, part: slice) -> SourceFeatures:
        """Those of some of several portraits."""
        return SourceFeatures(self.volume[part], {})


class NetworkSet:
    """F, M, W, G, S and R on one device.

    `notices` collects what the user should hear about (a frame redone in float32, a smaller
    batch), each once.
    """

    def __init__(
        self,
        name: str,
        networks: Mapping[str, nn.Module],
        placement: Placement,
        *,
        use_fast_path: bool = True,
        acceleration: str = "auto",
        progress: ProgressCallback | None = None,
        files: Mapping[str, Path] | None = None,
    ) -> None:
        """`networks` as BUILDERS names them, float32, on the CPU; see load for the rest.

        files  what they came from; on a CPU the plain W and G are then only loaded when needed
        """
        self.name = name
        self.placement = placement
        self.notices: list[str] = [placement.notice] if placement.notice else []
        # A compiler would need its minute for every size of batch.
        is_compiled = acceleration == "compile"
        self.batch_size = 1 if is_compiled else LARGEST_BATCH.get(placement.device.type, 1)
        self._overflows = 0
        use_device(placement)
        warping, generator = networks["warping_module"], networks["spade_generator"]
        perceptrons = networks["stitching_retargeting_module"]
        if not (
            isinstance(warping, WarpingModule)
            and isinstance(generator, SpadeGenerator)
            and isinstance(perceptrons, StitchingRetargeting)
        ):
            raise TypeError("networks must be built by checkpoints.BUILDERS")
        self._perceptrons = perceptrons
        load = None if files is None else partial(_load_pair, files)
        self._plain = PlainDecoder(warping, generator, load)
        self._decoder: Decoder = self._plain
        if use_fast_path:
            # Weights are folded in float64, which not every device has: before the move.
            try:
                folder = None if files is None else files["warping_module"].parent
                self._decoder = fast_decoder(
                    warping, generator, placement, acceleration, progress, folder
                )
            except RuntimeError as error:
                if placement.device.type == "cpu" or is_out_of_memory(error):
                    raise
                self._use_plain(REFUSED, error)
        else:
            self._plain.to(placement.device)
        # The plain W and G are the last resort and wait on the CPU: 400 MB less on the card.
        others = {k: x for k, x in networks.items() if x not in (warping, generator)}
        self._networks = {key: x.to(placement.device) for key, x in others.items()}
        if self._decoder is not self._plain and placement.device.type == "cpu":
            self._plain.forget()

    @classmethod
    def load(
        cls,
        folder: Path,
        kind: str = "human",
        device: str = "auto",
        precision: str = "auto",
        *,
        use_fast_path: bool = True,
        acceleration: str = "auto",
        progress: ProgressCallback | None = None,
    ) -> NetworkSet:
        """Load a model set from a folder of weight files.

        folder         see weight_search.find_sets
        kind           "human" or "animal"
        device         "auto", "cuda", "mps" or "cpu"
        precision      "auto", "fp32", "fp16" or "bf16"
        use_fast_path  less arithmetic for the same pictures; off to check it
        acceleration   one of fast_decoders.ACCELERATIONS; with "compile", loading takes CUDA about
                       a minute longer
        progress       called with (file or part of the networks, 0..1)

        Raises ReportedError: no_models for files, bad_request for devices, out_of_memory.
        """
        placement = choose_placement(device, precision)
        files = find_checkpoints(folder, kind)
        networks: dict[str, nn.Module] = {}
        for index, name in enumerate(BUILDERS):
            if progress:
                progress(files.paths[name].name, FILES_PART * index / len(BUILDERS))
            networks[name] = load_network(name, files.paths[name])
        with _memory_errors(placement):
            made = cls(
                kind,
                networks,
                placement,
                use_fast_path=use_fast_path,
                acceleration=acceleration,
                progress=_after_files(progress),
                files=files.paths,
            )
        networks.clear()
        release_memory(placement.device)
        return made

    @property
    def label(self) -> str:
        """Device and precision for people."""
        return self.placement.label

    @property
    def placed(self) -> dict[str, str]:
        """device for people, device_class and precision."""
        return self.placement.facts

    def extract_motion(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """M's raw heads of (N, 256, 256, 3) pictures, as engine.networks.motion.HEADS."""
        with torch.inference_mode(), _memory_errors(self.placement):
            heads = self._networks["motion_extractor"](self._pictures(images))
        return {name: _numpy(tensor) for name, tensor in heads.items()}

    def extract_features(self, image: np.ndarray) -> SourceFeatures:
        """F of one (1, 256, 256, 3) picture; the result stays on the device."""
        with torch.inference_mode(), _memory_errors(self.placement):
            volume = self._networks["appearance_feature_extractor"](self._pictures(image))
        if self.placement.device.type == "cpu":
            trim_heap()
        return SourceFeatures(volume, {})

    def gathered(self, features: Sequence[SourceFeatures]) -> SourceFeatures:
        """Features of N portraits in one, for `decode` with as many source keypoints."""
        with torch.inference_mode(), _memory_errors(self.placement):
            return SourceFeatures(torch.cat([each.volume for each in features]), {})

    def stitching(self, x_source: np.ndarray, x_driving: np.ndarray) -> np.ndarray:
        """(N, 65) offsets: 63 for the keypoints, then one shift in x and y."""
        return self._offsets(self._perceptrons.stitching, x_source, x_driving)

    def eye_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """(N, 63) offsets for ratios (N, 3): source left, source right, wanted."""
        return self._offsets(self._perceptrons.eye_retargeting, x_source, ratios)

    def lip_retargeting(self, x_source: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        """(N, 63) offsets for ratios (N, 2): source, wanted."""
        return self._offsets(self._perceptrons.lip_retargeting, x_source, ratios)

    def decode(
        self, features: SourceFeatures, x_source: np.ndarray, x_driving: np.ndarray
    ) -> Decoded:
        """W and G: x_source (1, 21, 3), x_driving (N, 21, 3) -> N frames.

        Of gathered features x_source has N rows, too.
        Runs in batches that fit the device. A frame that half precision turns into NaN or
        infinity is computed again in float32. Raises ReportedError: out_of_memory; no_models where
        float32 gives no number either.
        """
        source, driving = self._tensor(x_source), self._tensor(x_driving)
        images: list[np.ndarray] = []
        deformations: list[np.ndarray] = []
        start = 0
        while start < len(driving):
            rows = slice(start, start + self.batch_size)
            own = (features.rows(rows), source[rows]) if len(source) > 1 else (features, source)
            frames = self._decode_batch(*own, driving[rows])
            if frames is None:
                continue
            images.append(_numpy(frames.image.permute(0, 2, 3, 1)))
            deformations.append(_numpy(frames.warped.deformation))
            start += len(images[-1])
        return Decoded(np.concatenate(images), np.concatenate(deformations))

    def _decode_batch(
        self, features: SourceFeatures, source: Tensor, driving: Tensor
    ) -> Frames | None:
        """One batch, or None if the caller must come again, perhaps with a smaller one."""
        try:
            frames = self._run(self._decoder, features, source, driving)
            if _is_finite(frames):
                self._overflows = 0
                return frames
            if self._decoder is self._plain:
                raise _no_picture(self.placement)
            return self._repeat(features, source, driving)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                if self._decoder is self._plain:
                    raise
                self._use_plain(REFUSED, error)
                return None
            if len(driving) == 1:
                raise _out_of_memory(self.placement) from error
        # Outside of the handler: its error keeps the failed run's tensors alive.
        self.batch_size = len(driving) // 2
        self._notice(f"Memory is short: {self.batch_size} frames at a time.")
        self._decoder.release_memory()
        release_memory(self.placement.device)
        return None

    def _repeat(self, features: SourceFeatures, source: Tensor, driving: Tensor) -> Frames:
        """An overflowed batch again in float32; after a few in a row there is nothing else."""
        name = self.placement.precision.value
        self._plain.to(self.placement.device)
        frames = self._run(self._plain, features, source, driving)
        if not _is_finite(frames):
            raise _no_picture(self.placement)
        self._notice(f"A frame overflowed in {name} and was computed again in fp32.")
        self._overflows += 1
        if self._overflows == MOST_OVERFLOWS:
            self._use_plain(f"This device cannot run the networks in {name}: continuing in fp32.")
        return frames

    def _use_plain(self, notice: str, error: Exception | None = None) -> None:
        """From now on the plain networks, which ask least of a device."""
        if error is not None:
            log.warning("the fast networks failed: %s", error)
        self._notice(notice)
        self._decoder.release_memory()
        self._decoder = self._plain.to(self.placement.device)

    @staticmethod
    def _run(decoder: Decoder, features: SourceFeatures, source: Tensor, driving: Tensor) -> Frames:
        with torch.inference_mode():
            if id(decoder) not in features.prepared:
                features.prepared[id(decoder)] = decoder.prepare(features.volume)
            return decode_frames(decoder, features.prepared[id(decoder)], source, driving)

    def _offsets(
        self, network: Callable[[Tensor, Tensor], Tensor], x_source: np.ndarray, other: np.ndarray
    ) -> np.ndarray:
        with torch.inference_mode(), _memory_errors(self.placement):
            return _numpy(network(self._tensor(x_source), self._tensor(other)))

    def _pictures(self, images: np.ndarray) -> Tensor:
        if images.ndim != 4 or images.shape[1:] != (256, 256, 3):
            raise ValueError(f"pictures must be (N, 256, 256, 3), not {images.shape}")
        return self._tensor(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))

    def _tensor(self, array: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        return tensor.to(self.placement.device)

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)
            log.warning(text)


def _load_pair(files: Mapping[str, Path]) -> tuple[WarpingModule, SpadeGenerator]:
    warping, generator = (load_network(name, files[name]) for name in PAIR)
    if not (isinstance(warping, WarpingModule) and isinstance(generator, SpadeGenerator)):
        raise TypeError("networks must be built by checkpoints.BUILDERS")
    return warping, generator


def _after_files(progress: ProgressCallback | None) -> ProgressCallback | None:
    if progress is None:
        return None
    return lambda name, fraction: progress(name, FILES_PART + (1.0 - FILES_PART) * fraction)


@contextmanager
def _memory_errors(placement: Placement) -> Iterator[None]:
    """Turn torch's out-of-memory errors into the engine's."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory(placement) from error


def _out_of_memory(placement: Placement) -> ReportedError:
    hint = "Close other programs, or choose CPU as the device."
    if placement.device.type == "cpu":
        hint = "Close other programs; the networks need about 2 GB."
    return ReportedError("out_of_memory", f"Not enough memory on {placement.label}.", hint)


def _no_picture(placement: Placement) -> ReportedError:
    text = f"The networks gave no valid picture on {placement.label}, not even in float32."
    return ReportedError("no_models", text, "Download the weights again, or choose CPU.")


def _is_finite(frames: Frames) -> bool:
    # A NaN in W's features reaches every pixel through G's instance norms, but one in its
    # deformation only looks up nothing: sampling there gives 0.
    values = (frames.image, frames.warped.deformation)
    return all(bool(torch.isfinite(value).all()) for value in values)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()
