"""The views of the papers' protocols against arrays indexed by hand."""

import numpy as np
import pytest
from PIL import Image

from minicnn.evaluation import PROTOCOLS
from minicnn.evaluation.protocols import Protocol, grid_crops, named, scaled


def image(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def resized(picture, height, width, interpolation=Image.Resampling.BILINEAR):
    return np.asarray(picture.resize((width, height), interpolation))


def corners(pixels, n, offsets):
    return np.stack([pixels[top : top + n, left : left + n] for top, left in offsets])


def test_alexnet_10():
    picture = image(300, 400)
    whole = resized(picture, 256, 341)
    square = whole[:, 42:298]
    expected = corners(square, 224, [(0, 0), (0, 32), (16, 16), (32, 0), (32, 32)])
    (views,) = PROTOCOLS["alexnet_10"].views(picture, 224)
    np.testing.assert_array_equal(views, np.concatenate([expected, expected[:, :, ::-1]]))
    (views,) = PROTOCOLS["alexnet_10"].views(picture, 227)
    expected = corners(square, 227, [(0, 0), (0, 29), (14, 14), (29, 0), (29, 29)])
    np.testing.assert_array_equal(views[:5], expected)


def test_caffe_10_warps_and_has_the_center_last():
    picture = image(300, 400)
    warped = resized(picture, 256, 256)
    expected = corners(warped, 227, [(0, 0), (0, 29), (29, 0), (29, 29), (14, 14)])
    (views,) = PROTOCOLS["caffe_10"].views(picture, 227)
    np.testing.assert_array_equal(views, np.concatenate([expected, expected[:, :, ::-1]]))


def test_fb_resnet_10_cuts_the_whole_image_and_its_mirror_image():
    picture = image(400, 300)
    whole = resized(picture, 341, 256, Image.Resampling.BICUBIC)
    offsets = [(59, 16), (0, 0), (0, 32), (117, 0), (117, 32)]  # ceil(117 / 2) is 59
    expected = [corners(part, 224, offsets) for part in (whole, whole[:, ::-1])]
    (views,) = PROTOCOLS["fb_resnet_10"].views(picture, 224)
    np.testing.assert_array_equal(views, np.concatenate(expected))


def test_vgg_dense_has_the_whole_image_at_three_scales():
    picture = image(200, 300)
    views = PROTOCOLS["vgg_dense"].views(picture, 224)
    assert [v.shape for v in views] == [(2, 256, 384, 3), (2, 384, 576, 3), (2, 512, 768, 3)]
    for view in views:
        np.testing.assert_array_equal(view[0], resized(picture, *view.shape[1:3]))
        np.testing.assert_array_equal(view[1], view[0, :, ::-1])
    assert [v.shape[1] for v in PROTOCOLS["vgg_dense"].at((256,)).views(picture, 224)] == [256]


def test_vgg_multicrop_has_50_crops_per_scale():
    picture = image(300, 200)
    (views,) = PROTOCOLS["vgg_multicrop"].views(picture, 224)
    assert views.shape == (150, 224, 224, 3)
    whole = resized(picture, 384, 256)
    offsets = [(top, left) for top in (0, 40, 80, 120, 160) for left in (0, 8, 16, 24, 32)]
    assert grid_crops(384, 256, 224) == offsets
    expected = corners(whole, 224, offsets)
    np.testing.assert_array_equal(views[:50], np.concatenate([expected, expected[:, :, ::-1]]))
    assert len({view.tobytes() for view in views}) == 150


@pytest.mark.parametrize("portrait", [False, True])
def test_googlenet_144(portrait):
    picture = image(400, 300) if portrait else image(300, 400)
    (views,) = PROTOCOLS["googlenet_144"].views(picture, 224)
    assert views.shape == (144, 224, 224, 3)
    side = 256 * 400 // 300
    whole = resized(picture, *((side, 256) if portrait else (256, side)))
    for i, start in enumerate((0, (side - 256) // 2, side - 256)):
        square = whole[start : start + 256] if portrait else whole[:, start : start + 256]
        own = views[12 * i : 12 * (i + 1)]
        offsets = [(0, 0), (0, 32), (32, 0), (32, 32), (16, 16)]
        np.testing.assert_array_equal(own[:5], corners(square, 224, offsets))
        np.testing.assert_array_equal(own[5], resized(Image.fromarray(square), 224, 224))
        np.testing.assert_array_equal(own[6:], own[:6, :, ::-1])
    largest = resized(picture, *((469, 352) if portrait else (352, 469)))
    np.testing.assert_array_equal(views[108], largest[:224, :224])


def test_airbench_6_shifts_by_a_reflected_pixel():
    """As written: logits are half those of the image, half the mean of two shifts; all mirrored."""
    picture = image(32, 32)
    (views,) = PROTOCOLS["airbench_6"].views(picture, 32)
    whole = np.asarray(picture)
    framed = np.pad(whole, ((1, 1), (1, 1), (0, 0)), mode="reflect")
    expected = [whole, whole, framed[:32, :32], framed[2:, 2:]]
    np.testing.assert_array_equal(views[:4], expected)
    np.testing.assert_array_equal(views[4:], views[:4, :, ::-1])


def test_resnet_dense_is_not_mirrored():
    views = PROTOCOLS["resnet_dense"].views(image(224, 224), 224)
    assert [v.shape[:3] for v in views] == [(1, s, s) for s in (224, 256, 384, 480, 640)]


def test_lengths_follow_the_input():
    assert [scaled(256, n) for n in (224, 227, 299, 32)] == [256, 256, 342, 37]
    assert scaled(224, 227) == 227, "a network reads nothing smaller than its input"
    for name, protocol in PROTOCOLS.items():
        for part in protocol.parts or (protocol,):
            views = part.views(image(40, 60), 32)
            count = {"googlenet_144": 144, "alexnet_10": 10, "caffe_10": 10, "fb_resnet_10": 10}
            assert sum(map(len, views)) == count.get(name, sum(map(len, views)))
            assert all(min(view.shape[1:3]) >= 32 for view in views)


def test_gray_images_have_one_channel():
    (views,) = PROTOCOLS["alexnet_10"].views(image(30, 40).convert("L"), 28)
    assert views.shape == (10, 28, 28, 1)


def test_what_is_refused():
    with pytest.raises(ValueError, match="protocol='ten': expected one of center, alexnet_10"):
        named("ten")
    with pytest.raises(ValueError, match=r"scales=\(200,\): expected lengths .* at least 224"):
        PROTOCOLS["vgg_dense"].at((200, 256)[:1])
    with pytest.raises(ValueError, match="this protocol has none"):
        PROTOCOLS["center"].at((256,))
    combined = PROTOCOLS["vgg_combined"].at((256, 288))
    assert [part.scales for part in combined.parts] == [(256, 288)] * 2
    own = Protocol("my own", scales=(224,))
    assert named(own) is own
