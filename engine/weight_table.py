"""Which weight files LivePortrait needs, for both sides: names, sizes, digests, licences.

Standard library only; `engine/weight_search.py` finds them in a folder. Hashes and sizes are those
of the published files, and engine/download.py holds every file to them. An empty hash means that
none is known from two places: the file is then held to the digest that the hub itself names for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# A published size that is only known roughly may differ by this share.
SIZE_TOLERANCE = 0.02
# At most, of a small file whose size nobody has published.
UNKNOWN_BYTES = 64_000_000


@dataclass(frozen=True)
class WeightFile:
    """One published file: its path in the repository, size in bytes, SHA-256 ("" unknown).

    is_size_known  False where size_bytes is a guess, for the progress bar
    """

    path: str
    size_bytes: int
    sha256: str = ""
    is_size_exact: bool = True
    is_size_known: bool = True

    @property
    def name(self) -> str:
        """The file name without folders."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """The file name without folders and suffix: copies in other formats keep it."""
        return self.name.rpartition(".")[0]

    @property
    def sizes(self) -> range:
        """Sizes in bytes that the published file may have."""
        if not self.is_size_known:
            return range(1, UNKNOWN_BYTES + 1)
        slack = 0 if self.is_size_exact else int(self.size_bytes * SIZE_TOLERANCE)
        return range(self.size_bytes - slack, self.size_bytes + slack + 1)


@dataclass(frozen=True)
class WeightSet:
    """Files that are installed together.

    is_commercial  False when the licence allows non-commercial research only, so that the
                   user must accept it explicitly
    """

    name: str
    label: str
    licence: str
    files: tuple[WeightFile, ...]
    is_commercial: bool = True
    is_optional: bool = False

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size_bytes for file in self.files)


_BASE = "liveportrait/base_models"
_ANIMALS = "liveportrait_animals/base_models_v1.1"
_STITCHING = WeightFile(
    "liveportrait/retargeting_models/stitching_retargeting_module.pth",
    2_393_098,
    "3652d5a3f95099141a56986aaddec92fadf0a73c87a20fac9a2c07c32b28b611",
)

WEIGHT_SETS: tuple[WeightSet, ...] = (
    WeightSet(
        "human",
        "People",
        "MIT",
        (
            WeightFile(
                f"{_BASE}/appearance_feature_extractor.pth",
                3_387_959,
                "5279bb8654293dbdf327030b397f107237dd9212fb11dd75b83dfb635211ceb5",
            ),
            WeightFile(
                f"{_BASE}/motion_extractor.pth",
                112_545_506,
                "251e6a94ad667a1d0c69526d292677165110ef7f0cf0f6d199f0e414e8aa0ca5",
            ),
            WeightFile(
                f"{_BASE}/warping_module.pth",
                182_180_086,
                "2f61a6f265fe344f14132364859a78bdbbc2068577170693da57fb96d636e282",
            ),
            WeightFile(
                f"{_BASE}/spade_generator.pth",
                221_813_590,
                "4780afc7909a9f84e24c01d73b31a555ef651521a1fe3b2429bd04534d992aee",
            ),
            _STITCHING,
        ),
    ),
    WeightSet(
        "animal",
        "Animals",
        "MIT",
        (
            WeightFile(
                f"{_ANIMALS}/appearance_feature_extractor.pth", 3_387_959, is_size_exact=False
            ),
            WeightFile(f"{_ANIMALS}/motion_extractor.pth", 112_545_506, is_size_exact=False),
            WeightFile(f"{_ANIMALS}/warping_module.pth", 182_000_000, is_size_exact=False),
            WeightFile(f"{_ANIMALS}/spade_generator.pth", 222_000_000, is_size_exact=False),
            _STITCHING,
        ),
        is_optional=True,
    ),
    WeightSet(
        "landmark",
        "203-point landmarks",
        "MIT",
        (
            WeightFile(
                "liveportrait/landmark.onnx",
                114_666_491,
                "31d22a5041326c31f19b78886939a634a5aedcaa5ab8b9b951a1167595d147db",
            ),
        ),
        is_optional=True,
    ),
    WeightSet(
        "insightface",
        "InsightFace detector",
        "Non-commercial research only",
        (
            WeightFile(
                "insightface/models/buffalo_l/det_10g.onnx",
                16_923_827,
                "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            ),
            WeightFile(
                "insightface/models/buffalo_l/2d106det.onnx",
                5_030_888,
                "f001b856447c413801ef5c42091ed0cd516fcd21f2d6b79635b1e733a7109dbf",
            ),
        ),
        is_commercial=False,
        is_optional=True,
    ),
)

# NVIDIA's model of speech for faces, for one actor; it belongs to Speak, not to LivePortrait.
AUDIO2FACE = WeightSet(
    "audio2face",
    "Audio2Face-3D",
    "NVIDIA Open Model License",
    (
        WeightFile(
            "network.onnx",
            75_751_144,
            "dcd16d3b1affb090d4da1ba88791faa6bcd755f97c853b3b667abad9be15cb4b",
        ),
        WeightFile(
            "model_data.npz",
            204_600_000,
            "03790f24942ec26796ce101c2e238eb7ff5c1bb94a6c14a840ffcd530d3a301e",
            is_size_exact=False,
        ),
        WeightFile(
            "bs_skin.npz",
            39_200_000,
            "95fbe12499271a9c1ca0d718262fad76d6218f026a450d07006c6b70bc001cc5",
            is_size_exact=False,
        ),
        WeightFile("implicit_emo_db.npz", 1_000_000, is_size_known=False),
        WeightFile("network_info.json", 2_000, is_size_known=False),
        WeightFile("model_config.json", 2_000, is_size_known=False),
        WeightFile("bs_skin_config.json", 4_000, is_size_known=False),
    ),
    is_optional=True,
)

WEIGHT_SETS_BY_NAME: Mapping[str, WeightSet] = {
    each.name: each for each in (*WEIGHT_SETS, AUDIO2FACE)
}

# The five networks of a model set by their files' names; animals borrow the human stitching file.
STITCHING = _STITCHING.stem
NETWORKS = tuple(file.stem for file in WEIGHT_SETS_BY_NAME["human"].files)
