"""Decoding: every kind of picture comes out upright and RGB, everything else with a reason."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_server import encoded, paint, png_bomb
from PIL import Image

from pipeline.data.decoding import FORMATS, ImageError, decode, decode_image
from pipeline.data.images import square

MILLION = 1_000_000


def reason(data: bytes, max_pixels: int = MILLION) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, max_pixels=max_pixels)
    assert "\n" not in caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_a_lossless_picture_keeps_its_pixels(kind: str) -> None:
    image = paint("a")
    found = decode_image(encoded(image, kind), max_pixels=MILLION)
    assert found.mode == "RGB"
    assert np.array_equal(np.asarray(found), np.asarray(image))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF", "AVIF", "JPEG2000"])
def test_a_lossy_picture_is_much_like_the_one_that_was_saved(kind: str) -> None:
    found = decode(encoded(paint("a"), kind), max_pixels=MILLION)
    assert found.ending == FORMATS[kind]
    assert np.abs(np.asarray(found.image, float) - np.asarray(paint("a"), float)).mean() < 12


def test_exif_rotation_is_applied() -> None:
    wide = Image.new("RGB", (40, 20), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_image(encoded(wide, exif=exif), max_pixels=MILLION).size == (20, 40)


def test_what_is_transparent_shows_white() -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert decode_image(encoded(image, "PNG"), max_pixels=MILLION).getpixel((0, 0)) == (255,) * 3


def test_a_palette_with_a_transparent_colour_shows_white_there() -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((0, 0), 1)
    found = decode_image(encoded(image, "PNG", transparency=0), max_pixels=MILLION)
    assert (found.getpixel((0, 0)), found.getpixel((5, 5))) == ((0, 0, 200), (255, 255, 255))


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    red, green, blue = decode_image(encoded(image), max_pixels=MILLION).getpixel((3, 3))
    assert red > 200
    assert max(green, blue) < 60


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled_and_not_clipped(kind: str) -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    found = np.asarray(decode_image(encoded(Image.fromarray(ramp), kind), max_pixels=MILLION))
    assert np.array_equal(found[..., 0], np.rint(ramp / 257).astype(np.uint8))


def test_floating_point_samples_are_scaled_to_their_range() -> None:
    ramp = np.linspace(-2, 5, 64).astype(np.float32).reshape(8, 8)
    found = np.asarray(decode_image(encoded(Image.fromarray(ramp), "TIFF"), max_pixels=MILLION))
    assert (found.min(), found.max()) == (0, 255)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("blue", "red", "lime")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data, max_pixels=MILLION).getpixel((0, 0)) == (0, 0, 255)


def test_a_grey_and_a_one_bit_picture_become_rgb() -> None:
    for mode in ("L", "1", "LA"):
        assert decode_image(encoded(Image.new(mode, (4, 4)), "PNG"), max_pixels=9**3).mode == "RGB"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_picture_that_is_cut_short_is_broken(kind: str) -> None:
    data = encoded(paint("a"), kind)
    assert reason(data[: len(data) * 2 // 3]) in ("broken", "not_a_picture")


def test_each_kind_of_non_picture_has_its_reason() -> None:
    assert reason(b"") == "empty"
    assert reason(b"<!DOCTYPE html><html></html>") == "not_a_picture"
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not_a_picture"
    assert reason(b"\x00" * 1000) == "not_a_picture"
    assert reason(encoded(paint("a")), max_pixels=100) == "too_many_pixels"


@pytest.mark.parametrize("side", [8_000, 12_000, 30_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    assert reason(png_bomb(side), max_pixels=40 * MILLION) == "too_many_pixels"


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_make_a_traceback(data: bytes) -> None:
    with suppress(ImageError):
        decode_image(data, max_pixels=MILLION)


@settings(max_examples=250, deadline=None)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "JPEG2000", "AVIF"]),
    damage=st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), max_size=20),
    cut=st.integers(0, 3000),
)
def test_no_damage_to_a_picture_makes_a_traceback(
    kind: str, damage: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(encoded(paint("a", size=24), kind))
    for place, value in damage:
        data[place % len(data)] = value
    with suppress(ImageError):
        image = decode_image(bytes(data[: max(1, len(data) - cut)]), max_pixels=MILLION)
        assert image.mode == "RGB"


def test_the_middle_is_kept_and_fine_patterns_do_not_alias() -> None:
    stripes = np.zeros((100, 300, 3), np.uint8)
    stripes[:, 100:200:2] = 255
    found = square(Image.fromarray(stripes), 10)
    assert (np.abs(found[:, 1:-1].astype(int) - 127) < 16).all()


def test_files_are_read_as_the_pictures_that_they_are(tmp_path: Path) -> None:
    stream = io.BytesIO()
    paint("a").save(stream, "MPO")
    assert decode(stream.getvalue(), max_pixels=MILLION).ending == "jpg"
