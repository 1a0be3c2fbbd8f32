"""Train engine/speech/context.npz, the network that hears phones among their neighbours.

    python scripts/train_speech_context.py SOUNDS_DIR MUSIC_DIR OUTPUT.npz

SOUNDS_DIR holds sounds of many voices with NAME.phones beside each (lines "start end phone", as for
speak_check.py); MUSIC_DIR instrumental music, which belongs to no phone. Every sound is heard as it
is, in noise, and every second one in music, the others as a telephone carries them. Needs torch.
docs/speech.md says which voices the network in this repository was trained on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from speak_check import Said, read_phones, sounds_of

from engine.clips.sound_file import SoundFile
from engine.speech import features
from engine.speech.context import OFFSETS
from engine.speech.hearing import NOISES, SILENCE, acoustic_model

HIDDEN, EPOCHS, BATCH = 200, 5, 1024
DROPOUT, SMOOTHING, JITTER = 0.1, 0.05, 0.05
HIGHEST_RATE, DECAY = 4e-3, 1e-3
FLOOR_DB = 49.0  # below a sound's mean level: what the listener mixes in, too
NOISE_DB, MUSIC_DB = (5.0, 30.0), (5.0, 20.0)  # by which the voice is louder
TILT = 1.5  # of the logarithms of the highest and lowest band
NARROW_HZ = (3200.0, 6000.0)  # of sounds with fewer samples a second
MUSIC_S, PIECE_S, NOISE_PIECES = 60.0, 15.0, 12


class Example(NamedTuple):
    """One sound: (T, features.CEPSTRA) centred cepstra, and (T,) index of the phone at each."""

    cepstra: np.ndarray
    phones: np.ndarray


def main() -> int:
    """Train and write; returns the process's exit status."""
    parser = argparse.ArgumentParser(description="Train the network of speech.")
    for name in ("sounds", "music", "output"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    music = sorted(p for p in arguments.music.rglob("*") if p.suffix in (".ogg", ".wav", ".flac"))
    examples = list(examples_of(sounds_of(arguments.sounds), music))
    np.savez_compressed(arguments.output, **train(examples))
    return 0


def samples_of(path: Path, longest_s: float = np.inf) -> np.ndarray:
    """(N,) float32 at features.RATE, the beginning of a sound."""
    with SoundFile(path) as sound:
        end_s = None if np.isinf(longest_s) else longest_s
        blocks = [block[:, 0] for block in sound.blocks(features.RATE, None, end_s)]
    return np.concatenate(blocks)


def examples_of(sounds: list[Path], music: list[Path]) -> Iterator[Example]:
    """All that the network learns from."""
    random = np.random.default_rng(7)
    names = acoustic_model().phones
    pieces = [samples_of(path, MUSIC_S) for path in music]
    for number, path in enumerate(sounds):
        voice = samples_of(path)
        said = read_phones(path.with_suffix(".phones"))
        kinds = [np.zeros_like(voice), _noise(random, len(voice), random.uniform(*NOISE_DB), voice)]
        if number % 2 and pieces:
            piece = np.resize(pieces[random.integers(len(pieces))], len(voice))
            kinds.append(_as_loud(piece, voice, random.uniform(*MUSIC_DB)))
        mixed = [voice + other for other in kinds]
        if not number % 2:
            mixed.append(_narrow(mixed[random.integers(len(mixed))], random.uniform(*NARROW_HZ)))
        for sound in mixed:
            cepstra = _heard(random, sound)
            yield Example(cepstra, _phones_at(said, len(cepstra), names))
    step = int(PIECE_S * features.RATE)
    nobody = [
        piece[start : start + step] for piece in pieces for start in range(0, len(piece), step)
    ]
    nobody += [_noise(random, step, 0.0, np.full(1, 0.1)) for _ in range(NOISE_PIECES)]
    for piece in nobody:
        if len(piece) > step // 2:
            cepstra = _heard(random, piece)
            yield Example(cepstra, np.full(len(cepstra), names.index(NOISES[0])))


def _narrow(sound: np.ndarray, highest_hz: float) -> np.ndarray:
    """A sound without what is higher: of a lower rate, or of a lossy file."""
    spectrum = np.fft.rfft(sound)
    spectrum[round(highest_hz * len(sound) / features.RATE) :] = 0.0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)


def _as_loud(sound: np.ndarray, voice: np.ndarray, below_db: float) -> np.ndarray:
    power = float(np.mean(sound.astype(np.float64) ** 2))
    wanted = float(np.mean(voice.astype(np.float64) ** 2)) * 10.0 ** (-below_db / 10.0)
    return sound * np.sqrt(wanted / max(power, 1e-12))


def _noise(
    random: np.random.Generator, count: int, below_db: float, voice: np.ndarray
) -> np.ndarray:
    """White or darker noise, by so much quieter than a voice."""
    white = random.standard_normal(count)
    darker = np.convolve(white, random.uniform(0.0, 0.97) ** np.arange(80), "same")
    return _as_loud(darker if random.random() < 0.5 else white, voice, below_db)


def _heard(random: np.random.Generator, sound: np.ndarray) -> np.ndarray:
    """(T, CEPSTRA) of a sound through some microphone."""
    bands = features.spectra(sound + _as_loud(random.standard_normal(len(sound)), sound, FLOOR_DB))
    bands = bands + TILT * random.uniform(-1.0, 1.0) * np.linspace(-1.0, 1.0, bands.shape[1])
    cepstra = features.cepstra(bands)
    return (cepstra - cepstra.mean(axis=0)).astype(np.float32)


def _phones_at(said: list[Said], count: int, names: tuple[str, ...]) -> np.ndarray:
    times = np.arange(count) * features.STEP_S + features.CENTRE_S
    result = np.full(count, names.index(SILENCE))
    for s in said:
        phone = names.index(s.phone) if s.phone in names else names.index(SILENCE)
        result[(times >= s.start_s) & (times < s.end_s)] = phone
    return result


def train(examples: list[Example]) -> dict[str, Any]:
    """The arrays that ContextNetwork reads."""
    torch.manual_seed(0)
    count = len(acoustic_model().phones)
    lengths = [len(example.cepstra) for example in examples]
    cepstra = np.concatenate([example.cepstra for example in examples])
    scale = cepstra.std(axis=0)
    values = torch.from_numpy(cepstra / scale)
    phones = torch.from_numpy(np.concatenate([example.phones for example in examples]))
    ends = np.cumsum(lengths)
    first = torch.from_numpy(np.repeat(ends - lengths, lengths))
    last = torch.from_numpy(np.repeat(ends - 1, lengths))
    offsets = torch.tensor(OFFSETS)
    width = features.CEPSTRA * len(OFFSETS)
    layers = [
        torch.nn.Linear(*size) for size in ((width, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, count))
    ]
    between = (torch.nn.ReLU(), torch.nn.Dropout(DROPOUT))
    network = torch.nn.Sequential(layers[0], *between, layers[1], *between, layers[2])
    steps = EPOCHS * len(values) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), HIGHEST_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, HIGHEST_RATE, total_steps=steps + 1)
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=SMOOTHING)
    for step in range(steps):
        chosen = torch.randint(len(values), (BATCH,))
        rows = (chosen[:, None] + offsets).clamp(first[chosen, None], last[chosen, None])
        seen = values[rows].reshape(BATCH, -1)
        loss = loss_of(network(seen + JITTER * torch.randn_like(seen)), phones[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 500 == 0:
            print(f"step {step} of {steps}: {loss.item():.3f}", flush=True)
    arrays = {"scale": scale, "shares": np.bincount(phones.numpy(), minlength=count) / len(phones)}
    for number, layer in enumerate(layers):
        arrays[f"weight_{number}"] = layer.weight.detach().numpy().T
        arrays[f"bias_{number}"] = layer.bias.detach().numpy()
    return {name: array.astype(np.float16) for name, array in arrays.items()}


if __name__ == "__main__":
    sys.exit(main())
