"""The real engine process over the real host: faces, frames, handles, files, refusals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from conftest import ROOT
from keyportrait.engine.protocol import PROTOCOL_VERSION, Array
from keyportrait.host.client import Engine, EngineError, Launch

from engine.controls import motion_from_controls
from engine.motion import NO_FACE_HINT

PATIENCE_S = 60.0
NEUTRAL = motion_from_controls({}).to_json()
SMILE = motion_from_controls({"smile": 1.0}).to_json()
TURN = motion_from_controls({"head_yaw": 15.0, "blink": 1.0}).to_json()


def rgba(image: np.ndarray) -> np.ndarray:
    return np.dstack((image, np.full(image.shape[:2], 255, np.uint8)))


ASTRONAUT = rgba(skimage.data.astronaut())
TWINS = np.hstack((ASTRONAUT, ASTRONAUT[:, ::-1])).copy()


def wire(image: np.ndarray) -> dict[str, Array]:
    return {"image": Array(image.dtype.name, image.shape, image.tobytes())}


def numpy_of(array: Array) -> np.ndarray:
    return np.frombuffer(array.data, array.dtype).reshape(array.shape)


class Session:
    """Short words for the requests of these tests."""

    def __init__(self, log_path: Path) -> None:
        self.engine = Engine(Launch(sys.executable, ROOT, log_path))
        self.engine.start()

    def ask(self, kind: str, fields: dict[str, Any], image: np.ndarray | None = None) -> Any:
        arrays = {} if image is None else wire(image)
        return self.engine.wait(self.engine.submit(kind, fields, arrays), PATIENCE_S)

    def detect(self, image: np.ndarray, encoding: str = "srgb", **fields: Any) -> list[Any]:
        return self.ask("detect", {"encoding": encoding, **fields}, image).fields["faces"]

    def open(self, image: np.ndarray, encoding: str = "srgb", **changes: Any) -> int:
        faces = changes.pop("faces", None) or self.detect(image, encoding)
        fields = {"encoding": encoding, "renderer": "analytic", "faces": faces, "options": {}}
        return self.ask("open", {**fields, **changes}, image).fields["handle"]

    def render(self, handle: int, *motions: dict[str, Any], **options: Any) -> Any:
        return self.ask("render", {"handle": handle, "motions": list(motions), "options": options})

    def picture(self, source: np.ndarray, handle: int, *motions: dict[str, Any]) -> np.ndarray:
        """The whole picture as Blender's side puts it together."""
        frame = self.render(handle, *motions)
        x, y, width, height = frame.fields["rectangle"]
        picture = source.copy()
        pixels = numpy_of(frame.arrays["pixels"])
        assert pixels.shape == (height, width, 4)
        picture[y : y + height, x : x + width] = pixels
        return picture

    def refusal(self, kind: str, fields: dict[str, Any], image: np.ndarray | None = None) -> Any:
        with pytest.raises(EngineError) as caught:
            self.ask(kind, fields, image)
        return caught.value


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    session = Session(tmp_path_factory.mktemp("engine") / "engine.log")
    yield session
    session.engine.stop()


@pytest.fixture(scope="module")
def astronaut(session: Session) -> int:
    return session.open(ASTRONAUT)


def test_capabilities_are_what_is_there(session: Session) -> None:
    session.engine.wait_ready(PATIENCE_S)
    capabilities = session.engine.capabilities
    assert capabilities["renderers"]["analytic"]["device_class"] == "cpu"
    assert capabilities["numpy"] == np.__version__
    assert capabilities["opencv"] == cv2.__version__
    assert 1 <= capabilities["threads"] <= 4


def test_a_smile_changes_the_face_alone(session: Session, astronaut: int) -> None:
    frame = session.render(astronaut, SMILE)
    x, y, width, height = frame.fields["rectangle"]
    assert 0 < width * height < 0.5 * ASTRONAUT.shape[0] * ASTRONAUT.shape[1]
    picture = session.picture(ASTRONAUT, astronaut, SMILE)
    box = session.detect(ASTRONAUT)[0]["box"]
    mouth = picture[130:160, 200:250].astype(int) - ASTRONAUT[130:160, 200:250]
    assert np.abs(mouth).max() > 30
    assert x < box[0] + 50
    assert y < box[3]


def test_a_small_frame_is_the_large_one_made_smaller(session: Session) -> None:
    large = cv2.resize(ASTRONAUT, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    handle = session.open(large)
    size = [ASTRONAUT.shape[1], ASTRONAUT.shape[0]]
    fields = {"handle": handle, "motions": [SMILE], "options": {}, "size": size}
    whole = session.ask("render", {**fields, "is_whole": True})
    assert whole.fields["rectangle"] == [0, 0, *size]
    small = numpy_of(whole.arrays["pixels"])
    expected = session.picture(large, handle, SMILE)
    expected = cv2.resize(expected, tuple(size), interpolation=cv2.INTER_AREA)
    still = cv2.resize(large, tuple(size), interpolation=cv2.INTER_AREA)
    difference = np.abs(small.astype(int) - expected).mean()
    assert difference < 0.2 * np.abs(still.astype(int) - expected).mean()
    frame = session.ask("render", fields)
    x, y, width, height = frame.fields["rectangle"]
    part = small[y : y + height, x : x + width]
    assert (numpy_of(frame.arrays["pixels"]) == part).all()
    for wrong in ([0, 5], [size[0] * 9, 5], [5], "5", [5.0, 5]):
        assert session.refusal("render", {**fields, "size": wrong}).code == "bad_request"


def test_the_neutral_motion_gives_the_source_back(session: Session, astronaut: int) -> None:
    assert (session.picture(ASTRONAUT, astronaut, NEUTRAL) == ASTRONAUT).all()


def test_frames_are_relative_to_the_source_and_leave_no_trace(session: Session) -> None:
    handle = session.open(ASTRONAUT)
    fresh = session.picture(ASTRONAUT, handle, SMILE)
    turned = session.picture(ASTRONAUT, handle, TURN)
    again = session.picture(ASTRONAUT, handle, SMILE)
    assert (fresh == again).all()
    assert (turned != fresh).any()
    assert (session.picture(ASTRONAUT, handle, NEUTRAL) == ASTRONAUT).all()


def test_two_handles_do_not_know_each_other(session: Session, astronaut: int) -> None:
    other = session.open(ASTRONAUT[:, ::-1].copy())
    assert other != astronaut
    before = session.picture(ASTRONAUT, astronaut, SMILE)
    mirrored = session.picture(ASTRONAUT[:, ::-1].copy(), other, TURN)
    assert (mirrored != ASTRONAUT[:, ::-1]).any()
    assert (session.picture(ASTRONAUT, astronaut, SMILE) == before).all()
    session.ask("close", {"handle": other})
    fields = {"handle": other, "motions": [SMILE], "options": {}}
    assert session.refusal("render", fields).code == "unknown_handle"
    assert session.refusal("close", {"handle": other}).code == "unknown_handle"
    assert (session.picture(ASTRONAUT, astronaut, SMILE) == before).all()


def test_several_faces_move_on_their_own(session: Session) -> None:
    faces = session.detect(TWINS)
    assert len(faces) == 2
    faces.sort(key=lambda face: face["box"][0])
    handle = session.open(TWINS, faces=faces)
    left = session.picture(TWINS, handle, SMILE, NEUTRAL)
    assert (left[:, 512:] == TWINS[:, 512:]).all()
    right = session.picture(TWINS, handle, NEUTRAL, SMILE)
    assert (right[:, :400] == TWINS[:, :400]).all()
    both = session.picture(TWINS, handle, SMILE, SMILE)
    expected = TWINS.copy()
    for moved in (left, right):
        changed = (moved != TWINS).any(axis=-1)
        expected[changed] = moved[changed]
    assert (both == expected).all()


def test_float_and_alpha_come_back_as_they_went(session: Session) -> None:
    source = (ASTRONAUT / 255.0).astype(np.float32)
    source[..., :3] = source[..., :3] ** 2.2 * 4.0  # scene-linear, brighter than white
    source[:60, :60, 3] = 0.25
    handle = session.open(source, "linear", faces=session.detect(ASTRONAUT))
    picture = session.picture(source, handle, SMILE)
    assert picture.dtype == np.float32
    assert (picture != source).any()
    assert picture.max() > 1.5
    assert (session.picture(source, handle, NEUTRAL) == source).all()


def test_opened_faces_come_back_in_their_order(session: Session) -> None:
    faces = session.detect(TWINS)[::-1]
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": faces, "options": {}}
    opened = session.ask("open", fields, TWINS).fields
    assert [face["box"] for face in opened["faces"]] == [face["box"] for face in faces]


def test_a_saved_picture_is_the_one_that_would_have_been_shown(
    session: Session, tmp_path: Path
) -> None:
    handle = session.open(TWINS)
    shown = session.picture(TWINS, handle, SMILE, TURN)
    path = tmp_path / "new folder" / "grüße 0001.png"
    for motions in ((TURN, SMILE), (SMILE, TURN)):
        save = {"path": str(path), "format": "PNG", "color_depth": "8"}
        frame = session.render(handle, *motions, save=save)
        assert frame.fields["rectangle"] == [0, 0, 0, 0]
    assert [file.name for file in path.parent.iterdir()] == ["grüße 0001.png"]
    data = np.frombuffer(path.read_bytes(), np.uint8)
    read = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
    assert (read == shown).all()


def test_many_saved_pictures_are_written_beside_each_other(
    session: Session, astronaut: int, tmp_path: Path
) -> None:
    """A picture that is still being encoded must not see the next render."""
    motions = [motion_from_controls({"smile": step / 11}).to_json() for step in range(12)]
    tickets = []
    for step, motion in enumerate(motions):
        save = {"path": str(tmp_path / f"{step:04}.png")}
        fields = {"handle": astronaut, "motions": [motion], "options": {"save": save}}
        tickets.append(session.engine.submit("render", fields))
    for ticket in tickets:
        session.engine.wait(ticket, PATIENCE_S)
    for step, motion in enumerate(motions):
        data = np.frombuffer((tmp_path / f"{step:04}.png").read_bytes(), np.uint8)
        read = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)[..., [2, 1, 0, 3]]
        assert (read == session.picture(ASTRONAUT, astronaut, motion)).all(), step
    assert len(list(tmp_path.iterdir())) == len(motions)


def test_stop_lets_a_picture_be_finished_or_leaves_nothing(tmp_path: Path) -> None:
    session = Session(tmp_path / "engine.log")
    source = np.tile(ASTRONAUT, (4, 4, 1))
    handle = session.open(source, faces=session.detect(ASTRONAUT))
    path = tmp_path / "out" / "0001.png"
    fields = {"handle": handle, "motions": [SMILE], "options": {"save": {"path": str(path)}}}
    session.engine.submit("render", fields)
    session.engine.stop(PATIENCE_S)
    left = sorted(path.parent.iterdir()) if path.parent.exists() else []
    assert left in ([], [path])
    if left:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        assert cv2.imdecode(data, cv2.IMREAD_UNCHANGED).shape == source.shape


def test_a_picture_that_cannot_be_written_is_named(
    session: Session, astronaut: int, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    path = str(tmp_path / "file" / "0001.png")
    fields = {"handle": astronaut, "motions": [SMILE], "options": {"save": {"path": path}}}
    error = session.refusal("render", fields)
    assert error.code == "write_failed"
    assert path in error.message
    assert error.hint


def test_no_face_is_said_with_the_pictures_name(session: Session) -> None:
    grey = np.full((300, 300, 4), 128, np.uint8)
    fields = {"encoding": "srgb", "name": "portrait.png"}
    error = session.refusal("detect", fields, grey)
    assert error.code == "no_face"
    assert str(error) == (f"No face found in 'portrait.png'. {NO_FACE_HINT}")
    assert "the picture" in session.refusal("detect", {"encoding": "srgb"}, grey).message


def test_a_face_with_a_problem_is_refused(session: Session) -> None:
    face = session.detect(ASTRONAUT)[0]
    face["problem"] = {"code": "bad_face", "message": "Seen from the side.", "hint": "Turn it."}
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": [face], "options": {}}
    error = session.refusal("open", fields, ASTRONAUT)
    assert (error.code, error.message, error.hint) == (
        "bad_face",
        "Seen from the side.",
        "Turn it.",
    )


def test_a_tiny_face_is_found_with_its_problem(session: Session) -> None:
    small = cv2.resize(ASTRONAUT, (160, 160), interpolation=cv2.INTER_AREA)
    faces = session.detect(small)
    assert faces[0]["problem"]["code"] == "bad_face"
    assert "px" in faces[0]["problem"]["message"]


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (np.zeros((0, 0, 4), np.uint8), "bad_image"),
        (np.zeros((64, 0, 4), np.float32), "bad_image"),
        (np.zeros((64, 64, 3), np.uint8), "bad_image"),
        (np.zeros((64, 64), np.uint8), "bad_image"),
        (np.zeros((64, 64, 4), np.float64), "bad_image"),
        (np.zeros((16384, 2, 4), np.uint8), "bad_image"),
        (np.zeros((1, 1, 4), np.uint8), "no_face"),
        (np.full((64, 64, 4), np.nan, np.float32), "no_face"),
        (np.full((64, 64, 4), np.inf, np.float32), "no_face"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.shape}{value.dtype}",
)
def test_images_without_use(session: Session, image: np.ndarray, code: str) -> None:
    error = session.refusal("detect", {"encoding": "srgb"}, image)
    assert error.code == code, error
    assert error.message[0].isupper()


def requests_that_break_the_rules() -> Iterator[Any]:
    opening = {"encoding": "srgb", "renderer": "analytic", "faces": "own", "options": {}}
    rendering = {"handle": "own", "motions": [SMILE], "options": {}}
    for field, value, code in (
        ("encoding", "cmyk", "bad_request"),
        ("encoding", [], "bad_request"),
        ("renderer", "magic", "unknown_renderer"),
        ("renderer", [], "unknown_renderer"),
        ("faces", [], "bad_request"),
        ("faces", 7, "bad_request"),
        ("faces", ["face"], "bad_request"),
        ("faces", [{"box": [1, 2]}], "bad_request"),
    ):
        yield pytest.param("open", {**opening, field: value}, code, id=f"open-{field}-{value}")
    for field, value, code in (
        ("handle", 999, "unknown_handle"),
        ("handle", [], "unknown_handle"),
        ("motions", [], "bad_request"),
        ("motions", [SMILE, SMILE], "bad_request"),
        ("motions", [{"yow": 1}], "bad_request"),
        ("motions", [{"yaw": "far"}], "bad_request"),
        ("motions", [{"expression": [0.0]}], "bad_request"),
        ("motions", None, "bad_request"),
        ("options", {"save": {}}, "bad_request"),
        ("options", {"save": {"path": "x", "format": "BMP"}}, "bad_request"),
        ("options", {"save": {"path": "x", "format": "PNG", "color_depth": "9"}}, "bad_request"),
        ("options", {"save": "x"}, "bad_request"),
    ):
        yield pytest.param("render", {**rendering, field: value}, code, id=f"{field}-{value}"[:40])
    yield pytest.param("hello", {"protocol": 0, "version": ""}, "version_skew", id="hello")


@pytest.mark.parametrize(("kind", "fields", "code"), list(requests_that_break_the_rules()))
def test_bad_requests_are_refused_and_the_engine_goes_on(
    session: Session, astronaut: int, kind: str, fields: dict[str, Any], code: str
) -> None:
    if fields.get("faces") == "own":
        fields = {**fields, "faces": session.detect(ASTRONAUT)}
    if fields.get("handle") == "own":
        fields = {**fields, "handle": astronaut}
    error = session.refusal(kind, fields, ASTRONAUT if kind == "open" else None)
    assert error.code == code, error
    assert (session.picture(ASTRONAUT, astronaut, NEUTRAL) == ASTRONAUT).all()


def test_a_cancelled_request_is_dropped_by_the_engine(session: Session) -> None:
    engine = session.engine
    fields = {
        "encoding": "srgb",
        "renderer": "analytic",
        "faces": session.detect(ASTRONAUT),
        "options": {},
    }
    tickets = [engine.submit("open", fields, wire(ASTRONAUT)) for _ in range(4)]
    engine.cancel(tickets[3])
    handles = [engine.wait(ticket, PATIENCE_S).fields["handle"] for ticket in tickets[:3]]
    following = session.open(ASTRONAUT)
    assert following == handles[-1] + 1  # the fourth was never opened
    for handle in (*handles, following):
        session.ask("close", {"handle": handle})


def test_the_protocol_number_is_the_one_documented() -> None:
    text = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert f'"protocol":{PROTOCOL_VERSION}' in text


def test_one_bad_face_keeps_no_other_from_moving(session: Session) -> None:
    (face,) = session.detect(ASTRONAUT)
    bad = {"box": [5.0, 5.0, 60.0, 60.0]}
    fields = {"encoding": "srgb", "renderer": "analytic", "faces": [bad, face], "options": {}}
    opened = session.ask("open", fields, ASTRONAUT).fields
    assert opened["faces"][0]["problem"]["message"]
    assert not opened["faces"][1]["problem"]
    moved = session.picture(ASTRONAUT, opened["handle"], TURN, SMILE)
    alone = session.picture(ASTRONAUT, session.open(ASTRONAUT), SMILE)
    assert (moved == alone).all() and (moved != ASTRONAUT).any()
    assert session.refusal("open", {**fields, "faces": [bad]}, ASTRONAUT).code in {
        "bad_face",
        "no_face",
    }
