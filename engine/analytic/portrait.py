"""One face of one picture, fitted for the analytic renderer."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np

from ..faces.canonical import EYES, LIP_LOWER_INNER, LIP_UPPER_INNER, MESH_COUNT, OVAL, fit_pose
from ..faces.checks import check_fit
from ..faces.crop import Crop, face_crop, resized_matrix
from ..faces.lips import fit_lips
from ..faces.measures import measure
from ..faces.mesh import fit_landmarks
from ..faces.near_view import NearView
from ..faces.neighbours import Neighbours, find_neighbours
from ..faces.segmentation import person_mask, person_matte
from ..motion import Face, Motion
from ..renderer import Rectangle, ReportedError, SourceImage, Step, no_step
from ..srgb import linear_from_srgb
from .aside import begin, drawing
from .backdrop import Backdrop, LateBackdrop
from .compose import Scene, draw
from .decoder import Amounts, decode
from .deformers import CHEEK_DEFORMERS, LIP_DEFORMERS, MOUTH_DEFORMERS
from .eyes import Eye, EyeState
from .field import ExpressionField
from .head import HeadField, HeadMove
from .late import late
from .lids import fit_lids
from .mouth import Mouth, MouthState
from .mouth_colours import SKIN_POINTS, choose_colours
from .person import Person, lid_moves, skin_light
from .relight import read_light
from .shapes import smoothstep
from .texture import edge_width
from .tone import Tone, to_unit

_LOOKING = 0.02  # gaze amounts below which nobody misses anything
_BLIND = "No iris is seen in the eyes of this face, as in a statue's: Gaze moves its lids alone."


class AnalyticPortrait:
    """Warps one face by hand-made deformers; see FacePortrait for the contract."""

    def __init__(
        self,
        image: SourceImage,
        face: Face,
        step: Step = no_step,
        landmarks: np.ndarray | None = None,
        person: Person | None = None,
    ) -> None:
        """Fit the face. Raises ReportedError "bad_face" or "no_models".

        landmarks  (478, 3) picture pixels where they are known; None to look for them
        person     what another frame of the same clip says of the person; then what lies around
                   the face is only looked at when a motion needs it
        """
        if face.problem:
            raise ReportedError(
                "bad_face", face.problem.get("message", ""), face.problem.get("hint", "")
            )
        self.face = face
        self.notices: Sequence[str] = ()
        self._image = image
        if landmarks is None:
            near = NearView.of_face(image, face, step)
            landmarks = near.to_picture(fit_landmarks(near.rgb, near.place(face)))
        step()
        self._crop = face_crop(landmarks)
        view = NearView.of_crop(image, self._crop, step)
        crop_view = view.crop(self._crop).extract(view.rgb)
        self._is_view_whole = view.is_whole
        self.landmarks = fit_lips(crop_view, self._crop.landmarks_to_crop(landmarks))
        step()
        self._pose = fit_pose(self.landmarks)
        check_fit(self.landmarks)
        self._measures = measure(self.landmarks, self._pose)
        if not face.keypoints:  # drawn by hand, and not read yet
            ratios = self._measures.eyes_open, self._measures.lips_open
            self.face = replace(face, eyes_open=ratios[0], lips_open=ratios[1])
        unfitted = self.landmarks
        self.landmarks = (
            fit_lids(crop_view, unfitted) if person is None else person.with_lids(unfitted)
        )
        step()
        self._field = ExpressionField(self.landmarks, self._pose)
        self._fit_surroundings(image, crop_view, step, person)
        step()
        light = skin_light(crop_view, self.landmarks, self._pose)
        if person is None:
            person = self._read_person(crop_view, unfitted, light)
        self.person = person
        self._colours = person.colours_under(light)
        self._tone = Tone.measured(image, self._skin_colour(image), self._colours.skin)

    def _fit_surroundings(
        self, image: SourceImage, crop_view: np.ndarray, step: Step, person: Person | None
    ) -> None:
        """Prepare the head and what is behind it."""
        crop, landmarks, pose, face = self._crop, self.landmarks, self._pose, self.face

        whole_view = crop_view if self._is_view_whole else None

        @cache
        def mask() -> np.ndarray:
            return person_mask(crop_view)

        @cache
        def matte() -> np.ndarray:
            return person_matte(crop_view, mask())

        @cache
        def neighbours() -> Neighbours | None:
            if person is not None and not person.has_neighbours:
                return None
            # A frame of a clip looks around while it is drawn: that is no step of its fitting.
            around = NearView.of_face(image, face, step if person is None else no_step)
            return find_neighbours(around.rgb, around.crop(crop), landmarks, pose)

        def backdrop() -> Backdrop:
            return Backdrop(image, crop, matte(), neighbours(), whole_view)

        self._neighbours = neighbours
        self._head = HeadField(landmarks, pose, matte, crop, image.pixels.shape)
        if person is not None:
            alone = None if person.has_neighbours else mask
            self._backdrop = LateBackdrop(backdrop, landmarks[list(OVAL), :2], crop.size, alone)
            return
        matte()
        step()
        neighbours()
        step()
        self._backdrop = backdrop()

    def _read_person(
        self, crop_view: np.ndarray, unfitted: np.ndarray, light: np.ndarray
    ) -> Person:
        """What other frames of a clip need.

        unfitted  the landmarks before the lids were fitted
        """
        gap = max(self._measures.lip_gap, 0.0)
        return Person(
            *lid_moves(unfitted, self.landmarks),
            choose_colours(crop_view, self.landmarks, self._pose, gap),
            light,
            self._read_light(),
            edge_width(crop_view, self.landmarks),
            self._neighbours() is not None,
        )

    # Eyes and mouth are as fine as the picture is, and wait for a motion that moves them.

    @late
    def _eyes(self) -> list[Eye]:
        pixels = self._image.pixels
        return [Eye(pixels, self._crop, self.landmarks, eye, self._tone) for eye in EYES]

    @late
    def _mouth(self) -> Mouth:
        return Mouth(
            self._image.pixels,
            self._crop,
            self.landmarks,
            self._pose,
            max(self._measures.lip_gap, 0.0),
            self._colours,
            self._tone,
            self.person.edge_width,
        )

    def resized(self, image: SourceImage) -> AnalyticPortrait:
        """See FacePortrait.resized: fields and landmarks lie in the crop and stay."""
        other = copy(self)
        for name in ("_eyes", "_mouth"):
            other.__dict__.pop(name, None)
        other._image = image
        size, own = (item.pixels.shape[1::-1] for item in (image, self._image))
        matrix = resized_matrix(self._crop.picture_to_crop, size, own)
        other._crop = Crop(matrix, self._crop.size)
        return other

    def reopened(
        self, image: SourceImage, face: Face, landmarks: np.ndarray | None, step: Step = no_step
    ) -> AnalyticPortrait:
        """This person in another frame of a clip; see Renderer.reopen."""
        return AnalyticPortrait(image, face, step, landmarks, self.person)

    def prepare(self, motions: Sequence[Motion]) -> None:
        """Nothing: frames do not get faster by being made together."""

    def render(self, motion: Motion, canvas: np.ndarray) -> Rectangle:
        """Draw the moved face into `canvas` in place; see FacePortrait.render."""
        amounts = decode(motion, self._measures, self.face.eyes_open, self.face.lips_open)
        amounts = _spare_far_side(_follow_gaze(amounts), float(self._pose.euler[1]))
        is_looking = max(abs(amount) for amount in amounts.gaze) > _LOOKING
        is_blind = is_looking and not any(eye.has_iris for eye in self._eyes)
        self.notices = (_BLIND,) if is_blind else ()
        with drawing() as is_alone:
            scene = self._scene(motion, amounts, use_second=is_alone)
            image = self._image
            return draw(
                canvas, self._crop, scene, has_emission=image.has_emission, source=image.pixels
            )

    def _scene(self, motion: Motion, amounts: Amounts, *, use_second: bool) -> Scene:
        """What is drawn.

        use_second  a second thread may look at what is around the head meanwhile
        """
        move, backdrop, around = self._head_move(motion), self._backdrop, None
        if use_second and isinstance(backdrop, LateBackdrop) and not move.is_neutral:
            around = begin(backdrop.prepare)
        weights = self._field.weights(amounts, motion.lid_offset)
        expression = self._field.backward(weights)
        scene = Scene(None, self._head.window, expression, [], [], backdrop)
        vertices = self._field.move_vertices(weights)
        self._add_eyes(scene, vertices, amounts)
        self._add_mouth(scene, vertices, amounts)
        if around is not None:
            around.result()
        relit = self._head.relit(move, self.person.light)
        if relit is not None:
            relit = self._tone.relit(relit)
        return scene._replace(head=self._head.backward(move), relit=relit)

    def _add_eyes(self, scene: Scene, vertices: np.ndarray, amounts: Amounts) -> None:
        for eye, indices, blink in zip(self._eyes, EYES, amounts.blink, strict=True):
            state = EyeState(
                vertices[list(indices.upper)], vertices[list(indices.lower)], blink, amounts.gaze
            )
            layer = eye.layer(state)
            if layer is not None:
                scene.openings.append(layer)
            if scene.expression is not None:
                scene.below.append(eye.below(state))

    def _add_mouth(self, scene: Scene, vertices: np.ndarray, amounts: Amounts) -> None:
        names = (*MOUTH_DEFORMERS, *LIP_DEFORMERS, *CHEEK_DEFORMERS)
        strongest = max(abs(amounts.deformers[name]) for name in names)
        if scene.expression is None or max(strongest, amounts.lips_close) < 1e-4:
            return
        state = MouthState(vertices[list(LIP_UPPER_INNER)], vertices[list(LIP_LOWER_INNER)])
        scene.below.append(self._mouth.below(state))
        opening = self._mouth.opening(state)
        if opening is not None:
            scene.openings.append(opening)

    def _read_light(self) -> np.ndarray:
        """Person.light of this picture."""
        x, y = self._places(self.landmarks[:MESH_COUNT, :2])
        values = to_unit(self._image.pixels[y, x])[:, :3]
        if self._image.encoding == "srgb":
            values = linear_from_srgb(values)
        return read_light(values.mean(axis=1), self._pose)

    def _places(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the picture's pixels nearest to (N, 2) crop positions."""
        matrix = self._crop.crop_to_picture
        places = np.rint(points @ matrix[:, :2].T + matrix[:, 2]).astype(int)
        height, width = self._image.pixels.shape[:2]
        return np.clip(places[:, 0], 0, width - 1), np.clip(places[:, 1], 0, height - 1)

    def _skin_colour(self, image: SourceImage) -> np.ndarray:
        """(3,) median source values of the cheeks and the forehead, uint8 as 0..1."""
        x, y = self._places(self.landmarks[list(SKIN_POINTS), :2])
        return np.median(to_unit(image.pixels[y, x])[:, :3], axis=0)

    def _head_move(self, motion: Motion) -> HeadMove:
        half = self._crop.size / 2
        # The sliders that move the head write to keypoint 5.
        slide_x, slide_y = -motion.expression[3 * 5], motion.expression[3 * 5 + 1]
        return HeadMove(
            motion.pitch,
            motion.yaw,
            motion.roll,
            (motion.translation[0] + slide_x) * half,
            (motion.translation[1] + slide_y) * half,
            motion.scale,
        )


def _follow_gaze(amounts: Amounts) -> Amounts:
    """The lids follow eyes that look up or down."""
    up = amounts.gaze[1]
    follow = -0.22 * up if up > 0.0 else -0.32 * up
    blink = tuple(
        float(np.clip(b + follow * (1.0 - max(0.0, b)), -0.6, 1.0)) for b in amounts.blink
    )
    return replace(amounts, blink=blink)


def _spare_far_side(amounts: Amounts, yaw: float) -> Amounts:
    """The mouth corner on the far side of a turned face has little cheek to move over."""
    spared = 1.0 - 0.25 * float(smoothstep((abs(yaw) - 12.0) / 25.0))
    name = "smile_left" if yaw > 0.0 else "smile_right"
    deformers = {**amounts.deformers, name: amounts.deformers[name] * spared}
    return replace(amounts, deformers=deformers)
