"""Image files as bytes: every kind of pixel, orientation, sizes, and files that have no image."""

import io
import itertools
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from jnas.data import decoding, resizing


def content(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decode(*files: bytes, size: int = 8, stretch: bool = False) -> tuple[np.ndarray, list[str]]:
    images, reasons = zip(*decoding.blocks(files, size, stretch=stretch), strict=True)
    return np.concatenate(images), list(itertools.chain(*reasons))


def one(file: bytes, size: int = 8, *, stretch: bool = False) -> np.ndarray:
    images, reasons = decode(file, size=size, stretch=stretch)
    assert reasons == [""]
    return images[0]


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)


# -- Kinds of pixels -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA"])
def test_colours_are_exact(pixels, kind) -> None:
    np.testing.assert_array_equal(one(content(Image.fromarray(pixels), kind)), pixels)


def test_grey_and_two_colours(pixels) -> None:
    grey = pixels[..., 0]
    found = one(content(Image.fromarray(grey)))
    np.testing.assert_array_equal(found, np.repeat(grey[..., None], 3, axis=-1))
    bits = one(content(Image.fromarray(grey > 99)))
    np.testing.assert_array_equal(bits[..., 1], np.where(grey > 99, 255, 0))


def test_what_is_transparent_shows_white(pixels) -> None:
    alpha = np.arange(64, dtype=np.uint8).reshape(8, 8, 1) * 4
    alpha[0, 0], alpha[0, 1] = 0, 255
    share = alpha / 255
    expected = share * pixels + (1 - share) * 255
    found = one(content(Image.fromarray(np.concatenate([pixels, alpha], axis=-1))))
    np.testing.assert_allclose(found, expected, atol=1)
    np.testing.assert_array_equal(found[0, 0], [255, 255, 255])
    np.testing.assert_array_equal(found[0, 1], pixels[0, 1])
    grey = one(content(Image.fromarray(np.concatenate([pixels[..., :1], alpha], axis=-1), "LA")))
    np.testing.assert_allclose(grey[..., 2], expected[..., 0], atol=1)


def test_palettes(pixels) -> None:
    image = Image.fromarray(pixels // 64 * 64).quantize(64)
    expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(one(content(image)), expected)
    np.testing.assert_array_equal(one(content(image, "GIF")), expected)
    see_through = image.copy()
    number = int(np.asarray(see_through)[3, 3])
    found = one(content(see_through, transparency=number))
    is_clear = np.asarray(see_through) == number
    np.testing.assert_array_equal(found[is_clear], 255)
    np.testing.assert_array_equal(found[~is_clear], expected[~is_clear])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits(rng, kind) -> None:
    values = rng.integers(0, 65536, (8, 8), dtype=np.uint16)
    values[0, :2] = 0, 65535
    found = one(content(Image.fromarray(values), kind))
    np.testing.assert_allclose(found[..., 0], values / 257, atol=0.5)
    assert found[0, :2, 0].tolist() == [0, 255]


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_floats(rng, white) -> None:
    values = rng.uniform(0, white, (8, 8)).astype(np.float32)
    values[0, 0] = white
    found = one(content(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(found[..., 0], values * 255 / white, atol=0.51)


def test_four_inks() -> None:
    """Without black, an ink takes its complement away."""
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:4, :, 0], inks[4:, :, 2] = 255, 100
    expected = 255 - inks[..., :3]
    np.testing.assert_array_equal(one(content(Image.fromarray(inks, "CMYK"), "TIFF")), expected)
    found = one(content(Image.fromarray(inks, "CMYK"), "JPEG", quality=95)).astype(int)
    np.testing.assert_allclose(found, expected, atol=12)


@pytest.mark.parametrize("number", range(1, 9))
def test_images_are_upright(pixels, number) -> None:
    exif = Image.Exif()
    exif[0x0112] = number
    turned = {
        1: lambda x: x,
        2: lambda x: x[:, ::-1],
        3: lambda x: x[::-1, ::-1],
        4: lambda x: x[::-1],
        5: lambda x: x.swapaxes(0, 1),
        6: lambda x: np.rot90(x, -1),
        7: lambda x: x.swapaxes(0, 1)[::-1, ::-1],
        8: lambda x: np.rot90(x),
    }[number]
    found = one(content(Image.fromarray(pixels), exif=exif.tobytes()))
    np.testing.assert_array_equal(found, turned(pixels))


# -- Sizes -----------------------------------------------------------------------------------------


def test_the_middle_is_kept_or_all_is_stretched(rng) -> None:
    wide = rng.integers(0, 256, (8, 24, 3), dtype=np.uint8)
    file = content(Image.fromarray(wide))
    np.testing.assert_array_equal(one(file), wide[:, 8:16])
    means = wide.reshape(8, 8, 3, 3).mean(axis=2)
    np.testing.assert_allclose(one(file, stretch=True), means, atol=0.51)
    tall = one(content(Image.fromarray(wide.swapaxes(0, 1))))
    np.testing.assert_array_equal(tall, wide[:, 8:16].swapaxes(0, 1))


@pytest.mark.parametrize("shape", [(16, 16), (20, 16), (11, 13), (5, 4), (1, 1), (1, 40)])
@pytest.mark.parametrize("stretch", [False, True])
def test_files_and_arrays_are_resized_alike(rng, shape, stretch) -> None:
    x = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = one(content(Image.fromarray(x)), stretch=stretch)
    expected = resizing.resized(x[None], 8, stretch=stretch)[0]
    np.testing.assert_allclose(found.astype(int), expected, atol=1)


def test_large_photographs_are_decoded_at_a_part_of_their_size() -> None:
    y, x = np.mgrid[:512, :512] / 512
    smooth = np.stack([255 * x, 255 * y, 127 + 100 * np.sin(9 * x * y)], axis=-1).astype(np.uint8)
    found = one(content(Image.fromarray(smooth), "JPEG", quality=95))
    expected = smooth.reshape(8, 64, 8, 64, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(found, expected, atol=3)


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ([(8, 8), (28, 28), (300, 40)], 28),
        ([(30, 31)], 28),
        ([(500, 400), (500, 300)], 32),
        ([(3, 3)], 8),
    ],
)
def test_usual_size_is_the_median_of_shorter_sides_in_bounds(shapes, expected) -> None:
    files = [content(Image.new("RGB", shape)) for shape in shapes]
    assert decoding.usual_size([b"damaged", *files]) == expected


# -- Files without an image ------------------------------------------------------------------------


def test_damaged_files_have_a_reason_and_leave_the_others_alone(pixels) -> None:
    good = content(Image.fromarray(pixels))
    large = content(Image.fromarray(np.tile(pixels, (9, 9, 1))))
    found, reasons = decode(b"", good, b"not an image", large[: len(large) // 2], good)
    assert reasons == ["unreadable", "", "unreadable", "unreadable", ""]
    np.testing.assert_array_equal(found[[1, 4]], np.stack([pixels, pixels]))
    assert not found[[0, 2, 3]].any()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_files_have_no_image(pixels, kind) -> None:
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    moving = content(frames[0], kind, save_all=True, append_images=frames[1:])
    assert decode(moving)[1] == ["animated"]


def test_previews_of_a_camera_are_no_animation(pixels) -> None:
    frames = [Image.fromarray(pixels), Image.fromarray(255 - pixels)]
    file = content(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=95)
    alone = one(content(frames[0], "JPEG", quality=95))
    np.testing.assert_array_equal(one(file), alone)


def test_too_many_pixels(pixels, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    file = content(Image.fromarray(pixels))
    assert decode(file)[1] == ["too many pixels"]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow refuses twice as many
    assert decode(file)[1] == ["too many pixels"]
    assert decoding.usual_size([file]) == 32


def test_warnings_of_pillow_are_not_the_users(pixels, monkeypatch) -> None:
    def grumble(image):
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "PIL/x.py", 1, module="PIL.x")
        return image

    monkeypatch.setattr(ImageOps, "exif_transpose", grumble)
    np.testing.assert_array_equal(one(content(Image.fromarray(pixels))), pixels)


def test_damaged_bytes_never_raise_nor_warn(pixels, rng, capfd) -> None:
    kinds = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA")
    whole = [content(Image.fromarray(pixels), kind) for kind in kinds]
    files = []
    for number in range(400):
        damaged = bytearray(whole[number % len(whole)])
        for place in rng.integers(len(damaged), size=4):
            damaged[place] = rng.integers(256)
        files.append(bytes(damaged[: rng.integers(1, 2 * len(damaged))]))
    images, reasons = decode(*files)
    assert images.shape == (400, 8, 8, 3)
    assert set(reasons) <= {"", "unreadable", "animated", "too many pixels"}
    assert 50 < sum(reason == "unreadable" for reason in reasons) < 390
    assert capfd.readouterr().err == ""


def test_programs_are_not_started_for_a_file() -> None:
    assert ".eps" not in decoding.suffixes()
    assert {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif"} <= decoding.suffixes()
    assert decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n")[1] == ["unreadable"]


def test_many_files_come_in_order(monkeypatch) -> None:
    monkeypatch.setattr(decoding, "BLOCK", 3)
    files = [content(Image.new("RGB", (8, 8), (number, 0, 0))) for number in range(8)]
    found, reasons = decode(*files)
    assert found[:, 0, 0, 0].tolist() == list(range(8))
    assert reasons == [""] * 8
