"""One picture: what its pixels become, alike for training and predicting, and what is refused."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gym_cnnarch import InvalidInput
from train_eval.data.pictures import formats, is_picture, read_header, read_picture, suffixes
from train_eval.final.network.trained_network import TrainedNetwork

GREY = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)


def predicted(path, channels=1):
    """What a network that was trained on 8x8 pixels is shown of a picture."""
    card = {
        "input_shape": (channels, 8, 8), "image_size": None, "normalisation": {"kind": "contrast"},
    }  # fmt: skip
    return TrainedNetwork(None, card).preprocess(path)


def trained(path, channels=1):
    picture = np.asarray(read_picture(path, "L" if channels == 1 else "RGB"))
    return picture[None] if channels == 1 else picture.transpose(2, 0, 1)


def png(width, height, bits, colour_type, data, transparent=None):
    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    hidden = b"" if transparent is None else chunk(b"tRNS", struct.pack(">H", transparent))
    body = chunk(b"IHDR", header) + hidden + chunk(b"IDAT", zlib.compress(data))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def rows(pixels):
    """The lines of a PNG of 16 bits, unfiltered."""
    return b"".join(b"\x00" + row.astype(">u2").tobytes() for row in pixels)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_of_16_bits_the_upper_8_are_kept(tmp_path, suffix):
    path = tmp_path / f"deep.{suffix}"
    deep = GREY.astype(np.uint16) * 256 + 200
    if suffix == "pgm":
        path.write_bytes(b"P5 8 8 65535 " + deep.astype(">u2").tobytes())
    else:
        Image.fromarray(deep).save(path)
    header = read_header(path)
    assert header.deep
    assert header.grey
    assert np.array_equal(trained(path)[0], GREY)
    assert np.array_equal(predicted(path)[0], GREY)
    assert np.array_equal(predicted(path, channels=3), np.stack([GREY] * 3))


def test_colours_of_16_bits_are_read_as_grey_ones_are(tmp_path):
    deep = np.stack([GREY.astype(np.uint16) * 256 + 200] * 3, axis=2)
    path = tmp_path / "deep.png"
    path.write_bytes(png(8, 8, 16, 2, rows(deep)))
    assert np.array_equal(trained(path, 3), np.stack([GREY] * 3))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L", "I;16"])
def test_transparent_pixels_are_white_whatever_colour_they_hide(tmp_path, mode):
    path = tmp_path / "picture.png"
    grey = np.where(np.arange(64).reshape(8, 8) < 32, 10, 200).astype(np.uint8)
    hidden = grey == 10
    if mode in ("RGBA", "LA"):
        layers = [grey] * (len(mode) - 1) + [np.where(hidden, 0, 255).astype(np.uint8)]
        Image.fromarray(np.stack(layers, axis=2), mode=None).save(path)
    elif mode == "I;16":
        path.write_bytes(png(8, 8, 16, 0, rows(grey.astype(np.uint16) * 256), 10 * 256))
    else:
        picture = Image.fromarray(grey).convert(mode)
        colour = picture.getpixel((0, 0))
        picture.save(path, transparency=colour)
    assert read_header(path).transparent
    assert read_header(path).grey == (mode in ("LA", "L", "I;16"))
    expected = np.where(hidden, 255, 200)
    assert np.array_equal(trained(path)[0], expected)
    assert np.array_equal(predicted(path, 3), np.stack([expected] * 3))


def test_half_transparent_pixels_are_half_white(tmp_path):
    path = tmp_path / "half.png"
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(path)
    assert set(trained(path, 3).ravel().tolist()) == {127}


def test_opaque_pictures_keep_their_pixels(tmp_path):
    path = tmp_path / "opaque.png"
    colours = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(colours).convert("RGBA").save(path)
    assert np.array_equal(trained(path, 3), colours.transpose(2, 0, 1))


def test_no_format_starts_another_program():
    assert not {"EPS", "WMF"} & set(formats())
    assert not {".eps", ".ps", ".wmf", ".pdf", ".mpg"} & suffixes()
    assert {".png", ".jpg", ".jfif", ".gif", ".webp", ".bmp", ".tif"} <= suffixes()


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"P5 text", b"BM", bytes(1000), b"GIF89a"])
def test_a_file_without_a_suffix_is_a_picture_only_by_its_signature(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    assert not is_picture(tmp_path / "file")
    Image.fromarray(GREY).save(tmp_path / "file", "PNG")
    assert is_picture(tmp_path / "file")


def large_text():
    content = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 80_000_000, zip=True)
    Image.fromarray(GREY).save(content, "PNG", pnginfo=info)
    return content.getvalue()


def many_texts():
    content = io.BytesIO()
    info = PngImagePlugin.PngInfo()
    for number in range(80):
        info.add_text(str(number), "x" * 1_000_000, zip=True)
    Image.fromarray(GREY).save(content, "PNG", pnginfo=info)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.png", large_text),
        ("texts.png", many_texts),
        ("bomb.png", lambda: png(40_000, 40_000, 8, 0, bytes(100))),
        ("large.png", lambda: png(100_000, 1_000, 8, 0, bytes(100))),
        ("header.ppm", lambda: b"P6 8 8 99999999999 " + bytes(192)),
        ("sizes.ppm", lambda: b"P5 x8 8 255 " + bytes(64)),
        ("negative.pgm", lambda: b"P5 -8 8 255 " + bytes(64)),
        ("token.pgm", lambda: b"P5 88888888888888888 8 255 "),
        ("cut.pgm", lambda: b"P5 8 8 255 " + bytes(10)),
        ("plain.pgm", lambda: b"P2 8 8 255 " + b"1 x " * 64),
        ("empty.png", lambda: b""),
        ("text.jpg", lambda: b"not an image"),
        ("cut.png", lambda: png(8, 8, 8, 0, GREY.tobytes())[:50]),
        ("cut.tif", lambda: b"II*\x00\x08\x00\x00\x00\x01\x00"),
    ],
)
def test_what_pillow_cannot_read_is_one_sentence_that_names_the_file(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content())
    with warnings.catch_warnings(), pytest.raises(InvalidInput, match=rf"Cannot read .*{name} \("):
        warnings.simplefilter("error")
        read_picture(path, "RGB")


@pytest.mark.parametrize(("name", "dtype"), [("a.tif", np.float32), ("b.tif", np.int32)])
def test_pixels_of_unknown_range_are_refused_by_training_and_predict_alike(tmp_path, name, dtype):
    path = tmp_path / name
    Image.fromarray(GREY.astype(dtype)).save(path)
    for read in (read_header, trained, predicted):
        with pytest.raises(InvalidInput, match=rf"{name} has pixels of mode .*8 or 16 bits"):
            read(path)
