"""What can go wrong on Blender's side, each with a message and a hint for the artist."""

from __future__ import annotations


class AddonError(Exception):
    """Something that the artist is told about and can put right.

    message  what happened and to which data-block, one sentence
    hint     what to do next; may be empty
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ImageError(AddonError):
    """An image data-block or file that cannot be used as a portrait."""


class FaceError(AddonError):
    """No face, or none that can be moved well."""


class PortraitError(AddonError):
    """A portrait whose plane, image, material or controllers are missing or cannot be changed."""


class OtherPictureError(PortraitError):
    """A picture that is not the one in which the faces were found."""
