"""Pictures as a viewer shows them: each against a value computed without a decoder."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from files_by_hand import (
    CHANNELS,
    bmp_with_profile,
    chunk,
    exif,
    gif_with_profile,
    jp2_with_profile,
    png,
    profile_segments,
    with_segments,
)
from image_server import encoded, paint
from PIL import Image

from pipeline.data.decoding import ImageError, decode, decode_image
from profiles import PAPER, adobe_rgb, cmyk, from_adobe, from_grey, from_ink, grey

MILLION = 1_000_000
CELL = 16
# Two rows of three cells, inside sRGB whichever profile they are read by.
COLOURS = np.array(
    [
        [(180, 60, 50), (70, 130, 90), (60, 80, 160)],
        [(200, 190, 80), (128, 128, 128), (90, 60, 110)],
    ],
    dtype=np.uint8,
)  # fmt: skip
GREYS = np.array([[10, 90, 130], [170, 210, 250]], dtype=np.uint8)
# EXIF's orientations, by what the standard says the first row and the first column are.
TURNED = {
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1), 6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: lambda a: a[:, ::-1].swapaxes(0, 1),
}  # fmt: skip


def cells(values: np.ndarray) -> np.ndarray:
    return values.repeat(CELL, axis=0).repeat(CELL, axis=1)


def seen(data: bytes) -> np.ndarray:
    """The colour in the middle of each cell, (rows, columns, 3)."""
    pixels = np.asarray(decode_image(data, max_pixels=MILLION)).astype(float)
    return pixels[CELL // 2 :: CELL, CELL // 2 :: CELL]


def reason(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, max_pixels=MILLION)
    return caught.value.reason


def as_rgb(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=-1).astype(float)


DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PNG_TABLE = [
    (colour, depth, transparent, profile, turn)
    for colour, depths in DEPTHS.items()
    for depth, transparent, profile in itertools.product(depths, (False, True), (False, True))
    for turn in (1, 3 + (colour + depth) % 6)
]


@pytest.mark.parametrize(("colour", "depth", "transparent", "profile", "turn"), PNG_TABLE)
def test_every_kind_of_png(
    colour: int, depth: int, transparent: bool, profile: bool, turn: int
) -> None:
    top = (1 << depth) - 1
    before = []
    if colour == 3:  # a palette: index → one of the colours
        index = np.arange(6).reshape(2, 3) % (top + 1)
        samples = index[..., None]
        shown = COLOURS.reshape(-1, 3)[index].astype(float)
        used = min(6, top + 1)
        before = [chunk(b"PLTE", COLOURS.reshape(-1, 3)[:used].tobytes())]
        alpha = np.ones((2, 3))
        if transparent:
            before.append(chunk(b"tRNS", bytes([255, 51])))
            alpha[index == 1] = 0.2
    else:
        grey_levels = colour in (0, 4)
        wide = (GREYS if grey_levels else COLOURS).astype(np.int64) * 257 + 3
        values = np.rint(wide / 65535 * top).astype(np.int64)
        samples = values.reshape(2, 3, -1)
        exact = values / top * 255
        shown = as_rgb(exact) if grey_levels else exact
        alpha = np.ones((2, 3))
        if colour in (4, 6):
            alpha = np.full((2, 3), 0.4 if transparent else 1.0)
            samples = np.concatenate([samples, np.rint(alpha * top)[..., None].astype(int)], axis=2)
        elif transparent:
            clear = samples[0, 1]
            alpha[(samples == clear).all(axis=2)] = 0
            before = [chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))]
    if profile:
        icc = grey() if colour in (0, 4) else adobe_rgb()
        before.insert(0, chunk(b"iCCP", b"x\0\0" + zlib.compress(icc)))
        shown = from_grey(shown[..., 0]) if colour in (0, 4) else from_adobe(shown)
    shown = alpha[..., None] * shown + (1 - alpha[..., None]) * 255
    assert samples.shape[2] == CHANNELS[colour]
    data = png(
        cells(samples),
        colour=colour,
        depth=depth,
        before=before,
        after=[chunk(b"eXIf", exif(turn))],
    )
    assert np.abs(seen(data) - TURNED[turn](shown)).max() <= 2


def test_a_colour_of_16_bits_is_transparent_where_all_its_bits_agree() -> None:
    samples = np.array([[(0x1234, 0x5678, 0x9ABC), (0x1235, 0x5678, 0x9ABC)]])
    clear = chunk(b"tRNS", struct.pack(">3H", *samples[0, 0]))
    found = seen(png(cells(samples), colour=2, depth=16, before=[clear]))
    assert found.tolist() == [[[255] * 3, [0x12, 0x56, 0x9A]]]
    every = png(
        np.full((8, 8, 1), 30_000), colour=0, depth=16, before=[chunk(b"tRNS", b"\x75\x30")]
    )
    assert decode_image(every, max_pixels=MILLION).getpixel((3, 3)) == (255, 255, 255)


def lossless(kind: str, image: Image.Image, **options: object) -> bytes:
    if kind == "JPEG":
        options |= {"quality": 100, "subsampling": 0}
    elif kind == "WEBP":
        options |= {"lossless": True}
    elif kind == "AVIF":
        options |= {"quality": 100, "subsampling": "4:4:4"}
    return encoded(image, kind, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF", "GIF", "BMP", "JPEG2000"])
@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA"])
def test_a_colour_profile_is_converted_in_every_format(kind: str, mode: str) -> None:
    image, icc = Image.fromarray(cells(COLOURS)), adobe_rgb()
    if kind in ("GIF", "BMP", "JPEG2000") and mode != "RGB":
        pytest.skip(f"{kind} is written by hand in one mode")
    if mode not in {"JPEG": "RGB", "WEBP": "RGB RGBA", "AVIF": "RGB RGBA"}.get(kind, mode):
        pytest.skip(f"{kind} has no mode {mode}")
    if mode == "P":
        image = image.quantize(8)
    elif mode == "RGBA":
        image.putalpha(255)
    if kind == "GIF":
        data = gif_with_profile(encoded(image.quantize(8), kind), icc)
    elif kind == "BMP":
        data = bmp_with_profile(np.asarray(image), icc)
    elif kind == "JPEG2000":
        data = jp2_with_profile(encoded(image, kind), icc)
    elif kind == "JPEG":
        data = with_segments(lossless(kind, image), *profile_segments(icc))
    else:
        data = lossless(kind, image, icc_profile=icc)
    assert np.abs(seen(data) - from_adobe(COLOURS)).max() <= 2
    assert decode(data, max_pixels=MILLION).note == ""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_greys_are_converted_by_their_profile(kind: str, mode: str) -> None:
    if (kind, mode) in [("JPEG", "LA"), ("JPEG", "I;16")]:
        pytest.skip("JPEG has no such pixels")
    image = Image.fromarray(cells(GREYS))
    if mode == "LA":
        image.putalpha(255)
    elif mode == "I;16":
        image = Image.fromarray(cells(GREYS).astype(np.uint16) * 257)
    data = lossless(kind, image, icc_profile=grey())
    assert np.abs(seen(data) - from_grey(GREYS)).max() <= 2


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_are_converted_by_their_profile(kind: str) -> None:
    for corner in PAPER:
        image = Image.new("CMYK", (CELL, CELL), tuple(255 * ink for ink in corner))
        data = lossless(kind, image, icc_profile=cmyk())
        assert np.abs(seen(data)[0, 0] - from_ink(corner)).max() <= 3


@pytest.mark.parametrize("damage", ["cut", "noise", "other pixels", "huge", "not packed"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_a_profile_that_cannot_be_used_costs_nothing_and_is_told(kind: str, damage: str) -> None:
    if damage == "not packed" and kind != "PNG":
        pytest.skip("only PNG packs its profile")
    icc = {
        "cut": adobe_rgb()[:150],
        "noise": b"\x07" * 600,
        "other pixels": cmyk(),
        "huge": bytes(17 << 20),
        "not packed": b"\x07" * 600,
    }[damage]
    if damage == "huge" and kind == "JPEG":
        icc = icc[: 255 * 65_000 // 2]  # more has no place in a JPEG file
    image = Image.fromarray(cells(COLOURS))
    if kind == "PNG":
        packed = icc if damage == "not packed" else zlib.compress(icc)
        data = png(cells(COLOURS), colour=2, depth=8, before=[chunk(b"iCCP", b"x\0\0" + packed)])
    elif kind == "JPEG":
        data = with_segments(lossless(kind, image), *profile_segments(icc, 65_000))
    else:
        data = lossless(kind, image, icc_profile=icc)
    assert np.abs(seen(data) - COLOURS).max() <= 2
    assert "profile" in decode(data, max_pixels=MILLION).note


ODD = ["", "srational", "nowhere", "huge", "unknown", "short"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("odd", ODD)
def test_a_picture_is_upright_whatever_the_other_tags_say(kind: str, odd: str) -> None:
    image = Image.fromarray(cells(COLOURS))
    for turn, order in itertools.product(range(1, 9), "<>"):
        tags = exif(turn, odd=odd, order=order)
        if kind == "PNG":
            data = png(cells(COLOURS), colour=2, depth=8, after=[chunk(b"eXIf", tags)])
        elif kind == "JPEG":
            data = with_segments(lossless(kind, image), (0xE1, b"Exif\0\0" + tags))
        elif kind == "TIFF":
            data = turned_tiff(image, turn, odd)
        elif kind == "AVIF" and (odd or order == ">"):
            continue  # Pillow would not write it; how an AVIF is turned stands outside of its EXIF
        else:
            data = lossless(kind, image, exif=tags)
        assert np.abs(seen(data) - TURNED[turn](COLOURS)).max() <= 3, (turn, order)


def turned_tiff(image: Image.Image, turn: int, odd: str) -> bytes:
    """A TIFF file whose directory is copied to its end with two tags more."""
    data = encoded(image, "TIFF")
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    entries = [data[p : p + 12] for p in range(at + 2, at + 2 + 12 * count, 12)]
    tags = exif(turn, odd=odd)
    (added,) = struct.unpack_from("<H", tags, 8)
    entries += [tags[p : p + 12] for p in range(10, 10 + 12 * added, 12)]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return data[:4] + struct.pack("<I", len(data)) + data[8:] + directory


def test_orientation_is_found_where_other_programs_put_it() -> None:
    image, tags = Image.fromarray(cells(COLOURS)), exif(6)
    hexadecimal = b"\nexif\n      60\n" + (b"Exif\0\0" + tags).hex().encode() + b"\n"
    name = b"Raw profile type exif\0"
    by_imagemagick = chunk(b"zTXt", name + b"\0" + zlib.compress(hexadecimal))
    xmp = b'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    for data in (
        png(cells(COLOURS), colour=2, depth=8, before=[by_imagemagick]),
        png(cells(COLOURS), colour=2, depth=8, before=[chunk(b"tEXt", name + hexadecimal)]),
        with_segments(lossless("JPEG", image), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp)),
        with_segments(lossless("JPEG", image), (0xE1, b"Exif\0\0" + tags[:22])),  # cut behind it
    ):
        assert np.abs(seen(data) - TURNED[6](COLOURS)).max() <= 2


def test_metadata_however_large_or_damaged_never_decide_over_pixels() -> None:
    bomb = zlib.compress(bytes(3 << 20))
    bad = bytearray(chunk(b"tEXt", b"Title\0x"))
    bad[-1] ^= 1
    for extra in (
        chunk(b"iCCP", b"x\0\0" + bomb),
        chunk(b"zTXt", b"Comment\0\0" + bomb),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb),
        chunk(b"iCCP", b"x"),
        chunk(b"gAMA", b""),
        chunk(b"pHYs", b"\0"),
        chunk(b"sRGB", b""),
        chunk(b"cHRM", b"\0" * 3),
        chunk(b"acTL", b"\0"),
        chunk(b"eXIf", b"\xff" * 9),
        b"".join([chunk(b"tEXt", b"Comment\0" + bytes(1 << 20))] * 66),
        bytes(bad),
    ):
        data = png(cells(COLOURS), colour=2, depth=8, before=[extra])
        assert np.array_equal(seen(data), COLOURS), extra[:20]
    jpeg = lossless("JPEG", Image.fromarray(cells(COLOURS)))
    for marker, body in [
        (0xE0, b"JFIF\0"), (0xE1, b"Exif\0\0" + b"\xff" * 40), (0xE1, b"Exif\0\0II*\0"),
        (0xE2, b"MPF\0II*\0" + b"\xff" * 30), (0xE2, b"ICC_PROFILE\0\1"),
        (0xED, b"Photoshop 3.0\0"),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff"), (0xEE, b"Adobe"), (0xFE, b""),
    ]:  # fmt: skip
        found = seen(with_segments(jpeg, (marker, body)))
        assert np.abs(found - COLOURS).max() <= 2, (marker, body)


def halved_png() -> bytes:
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in cells(COLOURS)))
    head = struct.pack(">IIBBBBB", 48, 32, 8, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", body[: len(body) // 2]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("options", [
    {}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 3}, {"optimize": True},
])  # fmt: skip
def test_a_jpeg_cut_short_is_refused_however_it_was_closed(options: dict[str, object]) -> None:
    for image in (paint("a", 90), paint("a", 90).convert("L"), paint("a", 90).convert("CMYK")):
        data = encoded(image, **options)
        assert reason(data[:-2]) == "broken"
        whole = np.asarray(decode_image(data, max_pixels=MILLION))
        # What stands behind the end is not the picture's.
        later = decode_image(data + b"appended \xff\xd8", max_pixels=MILLION)
        assert np.array_equal(np.asarray(later), whole)
        start = data.index(b"\xff\xda") + 40
        for share in (0.1, 0.5, 0.8, 0.95):
            at = start + int((len(data) - start) * share)
            assert reason(data[:at] + b"\xff\xd9") == "broken", share


def test_a_progressive_jpeg_without_its_last_scans_is_refused() -> None:
    data = encoded(paint("a", 90), progressive=True)
    scans = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    tables = data.rindex(b"\xff\xc4", 0, scans[-1])
    assert reason(data[:tables] + b"\xff\xd9") == "broken"


def test_damage_that_a_checksum_or_an_end_tells_is_refused() -> None:
    good = png(cells(COLOURS), colour=2, depth=8)
    at = good.index(b"IDAT") + 12
    flipped = good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :]
    gif = encoded(paint("a").quantize(64), "GIF")
    for data in (halved_png(), good[:-12], good[:-3], flipped, gif[:-1], gif[: len(gif) // 2]):
        assert reason(data) in ("broken", "not_a_picture")


@pytest.mark.parametrize("kind", ["WEBP", "TIFF", "BMP", "AVIF", "JPEG2000"])
def test_other_formats_cut_anywhere_are_refused(kind: str) -> None:
    data = encoded(paint("a"), kind)
    for share in (0.3, 0.6, 0.9, 0.99):
        assert reason(data[: int(len(data) * share)]) in ("broken", "not_a_picture")


def test_lab_pixels_of_a_tiff_become_the_colour_that_they_mean() -> None:
    image = Image.merge("LAB", [Image.new("L", (8, 8), v) for v in (255, 128, 128)])
    stream = io.BytesIO()
    image.save(stream, "TIFF")
    found = decode_image(stream.getvalue(), max_pixels=MILLION).getpixel((3, 3))
    assert min(found) >= 253
