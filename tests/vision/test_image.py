"""Any picture comes in as upright RGB; any bytes end in a picture or in one line, and no header costs much memory."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin

from muomni_core.errors import InputError
from muomni_core.vision import image as vision_image
from muomni_core.vision.image import image_tensor, images_tensor, load_image, square_image

GREY = Image.linear_gradient("L").resize((60, 40))
COLOUR = Image.merge("RGB", [GREY, GREY.transpose(Image.Transpose.ROTATE_180), GREY])


def saved(picture, kind="PNG", **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def off(picture, wanted) -> int:
    assert picture.mode == "RGB"
    return int(np.abs(np.asarray(picture).astype(int) - np.asarray(wanted.convert("RGB"))).max())


def one_line(source) -> str:
    with pytest.raises(InputError) as caught:
        load_image(source)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def huge_png(width=20_000, height=20_000) -> bytes:
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


# --- modes and kinds


@pytest.mark.parametrize(
    ("mode", "kind", "error"),
    [
        ("RGB", "PNG", 0),
        ("RGB", "JPEG", 20),
        ("RGB", "WEBP", 20),
        ("RGB", "BMP", 0),
        ("RGB", "TIFF", 0),
        ("CMYK", "JPEG", 20),
        ("CMYK", "TIFF", 1),
        ("YCbCr", "JPEG", 20),
        ("P", "PNG", 60),
        ("P", "GIF", 60),
        ("RGBA", "PNG", 0),
    ],
)
def test_modes_and_kinds(mode, kind, error, tmp_path):
    data = saved(COLOUR.convert(mode), kind)
    path = tmp_path / "picture"
    path.write_bytes(data)
    for source in (data, io.BytesIO(data), path, str(path), Image.open(path)):
        assert off(load_image(source), COLOUR) <= error


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_modes(mode):
    assert off(load_image(saved(GREY.convert(mode))), GREY.convert(mode)) == 0


def test_more_than_8_bits_are_scaled_and_not_cut():
    values = np.asarray(GREY)
    for picture, kind in (
        (Image.fromarray(values.astype(np.uint16) * 257), "PNG"),
        (Image.fromarray(values.astype(np.uint16) * 257), "TIFF"),
        (Image.fromarray(values.astype(np.int32) * 257), "TIFF"),
        (Image.fromarray(values.astype(np.int32)), "TIFF"),
        (Image.fromarray(values.astype(np.float32) / 255), "TIFF"),
        (Image.fromarray(values.astype(np.float32)), "TIFF"),
    ):
        assert off(load_image(saved(picture, kind)), GREY) <= 1
    dark = Image.fromarray(np.full((4, 4), 257, np.uint16))
    assert load_image(saved(dark)).getpixel((0, 0)) == (1, 1, 1)
    assert "not numbers" in one_line(saved(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"))


def test_transparency_is_on_white():
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([255, 0, 0, 0, 0, 0])
    for source, value in (
        (saved(clear), 255),
        (saved(half), 127),
        (saved(clear, "WEBP", lossless=True), 255),
        (saved(Image.new("LA", (4, 4), (0, 0))), 255),
        (saved(palette, transparency=1), 255),
        (saved(palette, "GIF", transparency=1), 255),
        (saved(palette, transparency=b"\xff\x80"), 127),
        (saved(Image.new("RGB", (4, 4)), transparency=(0, 0, 0)), 255),
        (saved(Image.new("L", (4, 4)), transparency=0), 255),
        (half.convert("RGBa"), 127),
    ):
        assert load_image(source).getpixel((1, 1)) == (value, value, value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_exif_turns_upright(kind, mode):
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :16] = 255
    upright[:8, 16:] = 128
    lying = {  # how a camera stores it, by orientation
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright.T, 2),
        8: np.rot90(upright, -1),
    }
    for orientation, pixels in lying.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = saved(Image.fromarray(np.ascontiguousarray(pixels)).convert(mode), kind, exif=exif, quality=95)
        for source in (data, Image.open(io.BytesIO(data))):
            assert off(load_image(source), Image.fromarray(upright)) < 30, orientation


def test_damaged_exif_costs_nothing():
    data = saved(COLOUR, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff rubbish")
    assert load_image(data).size == COLOUR.size


def test_animations_show_their_first_frame():
    frames = [Image.new("RGB", (8, 8), c) for c in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        red, green, blue = load_image(data).getpixel((4, 4))
        assert red > 240 and green < 15 and blue < 15


def test_a_given_picture_stays_as_it_is():
    given_picture = COLOUR.copy()
    load_image(given_picture).putpixel((0, 0), (1, 2, 3))
    assert given_picture.tobytes() == COLOUR.tobytes()


# --- sizes


def test_20000_by_20000_is_refused_before_decoding(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(huge_png())
    assert "huge.png is too large to decode" in one_line(path)
    assert "9000x8000" in one_line(huge_png(9_000, 8_000))


def test_a_large_jpeg_is_decoded_smaller(monkeypatch):
    monkeypatch.setattr(vision_image, "MAX_PIXELS", 64 * 64)
    monkeypatch.setattr(vision_image, "MAX_JPEG_PIXELS", 512 * 512)
    monkeypatch.setattr(vision_image, "_DRAFT_PIXELS", 64 * 64)
    large = Image.new("RGB", (400, 200), "red")
    picture = load_image(saved(large, "JPEG"))
    assert picture.size == (50, 25) and picture.getpixel((20, 20))[0] > 240
    assert "400x200" in one_line(saved(large))
    assert "400x200" in one_line(saved(large, "JPEG", progressive=True))  # would be in memory whole
    assert "600x500" in one_line(saved(Image.new("RGB", (600, 500)), "JPEG"))


def test_a_jpeg_header_alone_costs_no_memory():
    data = bytearray(saved(COLOUR, "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    assert "65000x65000" in one_line(bytes(data))
    assert JpegImagePlugin.JpegImageFile(io.BytesIO(data)).size == (65_000, 65_000)


# --- damage


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_cut_pictures_are_one_line(kind, tmp_path):
    path = tmp_path / "cut.img"
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50, 3), np.uint8))
    data = saved(noise, kind)
    path.write_bytes(data[: len(data) // 2])
    assert one_line(path).startswith(str(path))


def test_wrong_kinds(tmp_path):
    assert "no such file" in one_line(tmp_path / "no.png")
    assert "is a folder" in one_line(tmp_path)
    assert "is empty" in one_line(b"")
    assert "not a picture" in one_line(b"I am text.\n" * 20)
    assert "not a picture" in one_line(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    assert "None" in one_line(None)


def test_nothing_but_the_error_is_said(capfd, recwarn):
    one_line(huge_png(12_000, 9_000))
    one_line(saved(COLOUR, "TIFF", compression="tiff_lzw")[:300])
    assert capfd.readouterr().err == "" and not recwarn.list


FILES = [saved(COLOUR, kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")] + [
    saved(COLOUR, "TIFF", compression="tiff_lzw"),
    saved(COLOUR, "JPEG", progressive=True),
]


@given(st.sampled_from(FILES), st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 255)), max_size=5), st.data())
@settings(max_examples=100, deadline=None)
def test_any_damage_ends_in_a_picture_or_one_line(data, changes, draw):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    stop = draw.draw(st.one_of(st.just(len(damaged)), st.integers(1, len(damaged))))
    try:
        assert load_image(bytes(damaged[:stop])).mode == "RGB"
    except InputError as error:
        assert len(str(error).splitlines()) == 1


# --- to the encoder


def test_tensor_has_the_contracts_shape_and_scale():
    white, black = (image_tensor(Image.new("L", (300, 200), value)) for value in (255, 0))
    assert white.shape == (3, 224, 224) and white.dtype.is_floating_point
    assert white.min() == white.max() == 1 and black.min() == black.max() == -1
    assert images_tensor([Image.new("L", (9, 5)), COLOUR], 32).shape == (2, 3, 32, 32)
    with pytest.raises(InputError, match="no picture"):
        images_tensor([])


def test_channels_rows_and_columns_are_in_order():
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("red", (0, 0, 64, 32))
    tensor = image_tensor(picture, 64)
    assert tensor[0, :30].min() > 0.99 and tensor[0, 34:].max() < -0.99 and tensor[1:].max() < -0.99


def test_the_middle_is_cut_out():
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("lime", (100, 0, 200, 100))
    square = np.asarray(square_image(wide, 50))
    turned = np.asarray(square_image(wide.rotate(90, expand=True), 50))
    for pixels in (square[:, 2:-2], turned[2:-2]):  # the edges average with what is beside them
        assert (pixels == (0, 255, 0)).all()


def test_scaling_down_averages():
    board = Image.fromarray((np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8))
    assert image_tensor(board, 32).abs().max() < 0.1


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1), (2, 3)])
def test_smallest_and_narrowest(size):
    assert image_tensor(Image.new("RGB", size, "white")).min() == 1
