"""Any picture in: upright RGB on white, and the normalised tensor that the vision encoder takes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin

from muomni_core.errors import InputError
from muomni_core.files import open_input, source_name

if TYPE_CHECKING:
    import torch

ImageSource = str | Path | BinaryIO | bytes | Image.Image

MEAN = (0.5, 0.5, 0.5)
STD = (0.5, 0.5, 0.5)

MAX_PIXELS = 64_000_000  # decoded whole, at 4 bytes each
MAX_JPEG_PIXELS = 500_000_000  # a JPEG decodes at an eighth of its size without ever being there whole
_DRAFT_PIXELS = 16_000_000  # a JPEG over MAX_PIXELS is decoded at about this size
_FORMATS = ("PNG", "JPEG", "MPO", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "ICO", "TGA", "AVIF", "JPEG2000")

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(source: ImageSource) -> Image.Image:
    """A picture as RGB: turned upright by its EXIF, transparency on white, the first frame of an animation.

    `source` is a path, a binary file, bytes or a PIL image (which stays as it is). A JPEG file over MAX_PIXELS comes
    back at a half, quarter or eighth of its size. Raises InputError, which names the source, for what is missing,
    damaged, no picture, or too large to decode; size is looked at before anything is decoded.
    """
    name = source_name(source) if not isinstance(source, Image.Image) else "the given picture"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL grumbles about odd EXIF and the like in files that it reads well
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        if isinstance(source, Image.Image):
            return _decoded(source, name)
        with open_input(source) as file:
            image = _opened(file, name)
            _draft_if_huge(image)
            return _decoded(image, name)


def square_image(source: ImageSource, size: int = 224) -> Image.Image:
    """RGB, size x size: the shorter side brought to `size` (antialiased), and the middle cut out."""
    image = load_image(source)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    # Cut and scaled in one go: a strip of 1 x 20,000 pixels would be 224 x 4,480,000 between the two.
    box = (left, top, left + side, top + side)
    return image.resize((size, size), Image.Resampling.BICUBIC, box=box)


def image_tensor(source: ImageSource, size: int = 224) -> torch.Tensor:
    """Float (3, size, size): square_image, normalised with MEAN and STD to -1 to 1."""
    import torch

    values = np.asarray(square_image(source, size), np.float32) / np.float32(255.0)
    pixels = (values - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def images_tensor(sources: Iterable[ImageSource], size: int = 224) -> torch.Tensor:
    """Float (B, 3, size, size) of several pictures. Raises InputError if there is none."""
    import torch

    tensors = [image_tensor(source, size) for source in sources]
    if not tensors:
        raise InputError("no picture given; give at least one")
    return torch.stack(tensors)


# ------------------------------------------------------------------------------------------------------ decode


def _opened(file: BinaryIO, name: str) -> Image.Image:
    """The picture with its header read and nothing decoded."""
    try:
        if file.read(2) == b"\xff\xd8":
            file.seek(0)
            # Not by Image.open, whose own limit on pixels knows nothing of decoding at an eighth. It also would make a
            # phone's JPEG with several pictures an MPO; the first picture is the one meant.
            return JpegImagePlugin.JpegImageFile(file)
        file.seek(0)
        Image.init()
        return Image.open(file, formats=[f for f in _FORMATS if f in Image.OPEN])
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(name, "") from None
    except Exception:  # any bytes may come here, and PIL's readers raise many kinds
        raise InputError(
            f"{name} is not a picture that can be read; give JPEG, PNG, GIF, WebP, BMP or TIFF, whole and undamaged"
        ) from None


def _too_large(name: str, size: str) -> InputError:
    return InputError(
        f"{name}{size} is too large to decode: at most {MAX_PIXELS // 10**6} million pixels "
        f"({MAX_JPEG_PIXELS // 10**6} million in a baseline JPEG); make it smaller first"
    )


def _draft_if_huge(image: Image.Image) -> None:
    """Has a baseline JPEG over MAX_PIXELS decoded smaller; everything else stays as it is."""
    # A progressive JPEG keeps all coefficients of the whole picture in memory, however small it is decoded.
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or image.info.get("progressive"):
        return
    width, height = image.size
    if MAX_PIXELS < width * height <= MAX_JPEG_PIXELS:
        scale = 2
        while scale < 8 and width * height / scale**2 > _DRAFT_PIXELS:
            scale *= 2
        image.draft(None, (width // scale, height // scale))


def _decoded(image: Image.Image, name: str) -> Image.Image:
    width, height = image.size
    if not width * height:
        raise InputError(f"{name} is {width}x{height} pixels: there is nothing in it")
    if width * height > MAX_PIXELS:
        raise _too_large(name, f" ({width}x{height} pixels)")
    try:
        image.load()
        turn = _turn(image)
        rgb = _rgb(image, name)
        return rgb if turn is None else rgb.transpose(turn)
    except InputError:
        raise
    except Exception:  # as in _opened
        raise InputError(f"{name} is damaged or cut off: it cannot be decoded; save or download it again") from None


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns a loaded picture upright (a TIFF was turned by loading it, and says so no more)."""
    with contextlib.suppress(Exception):  # damaged EXIF: the picture is fine all the same
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    return None


def _rgb(image: Image.Image, name: str) -> Image.Image:
    """Any mode to RGB, as a copy."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bit(np.asarray(image), image.mode, name)).convert("RGB")
    if image.mode in ("RGBa", "La"):  # premultiplied
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        out = Image.new("RGB", clear.size, (255, 255, 255))
        out.paste(clear, mask=clear.getchannel("A"))
        return out
    return image.convert("RGB")


def _eight_bit(values: np.ndarray, mode: str, name: str) -> np.ndarray:
    """Grey values of more than 8 bits (H, W) to uint8; 32 bits and floats name no white, so it is found."""
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{name} holds pixels that are not numbers (NaN or infinite); save it again")
    peak = float(values.max(initial=0.0))
    if mode.startswith("I;16"):
        white = 65535.0
    else:
        levels = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
        white = next((level for level in levels if peak <= level), peak)
    return np.clip(np.rint(values * (255.0 / white)), 0, 255).astype(np.uint8)
