"""Speech through the front door: a sound in, what the face does out."""

from __future__ import annotations

import json

import pytest

from engine.speech_options import OTHER, SPEECH_AMOUNTS, SpeechOptions
from engine.take import PerformanceSource


def test_a_source_of_speech_crosses_the_wire() -> None:
    options = SpeechOptions(strength=1.5, language=OTHER, blinks=0.5, seed=7, stream=1)
    source = PerformanceSource("a.wav", 1.0, 2.5, speech=options)
    assert PerformanceSource.from_json(json.loads(json.dumps(source.to_json()))) == source
    plain = PerformanceSource("a.mp4")
    assert PerformanceSource.from_json(json.loads(json.dumps(plain.to_json()))) == plain


@pytest.mark.parametrize(
    "wrong",
    [
        *({amount.name: amount.maximum + 1.0} for amount in SPEECH_AMOUNTS),
        {"language": "Klingon"},
        {"seed": -1},
        {"seed": 0.5},
        {"stream": -2},
        {"visemes": 3},
        {"loudness": 1.0},
        {"strength": "much"},
    ],
)
def test_other_options_are_refused(wrong) -> None:
    with pytest.raises((ValueError, TypeError)):
        PerformanceSource.from_json({"path": "a.wav", "speech": wrong})
