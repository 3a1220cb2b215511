"""Folders of pictures as people have them: what is read, skipped, and refused with a sentence."""

import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from gym_cnnarch import InvalidInput
from tests.helpers.pictures import write_images
from train_eval.data.sources import (
    check_parts,
    has_test_images,
    has_validation_images,
    load_dataset,
    load_own_validation,
    load_train_and_test,
)
from train_eval.training.recipe import Recipe

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))


def read(folder, part="train", image_size=None):
    return load_dataset(f"folder:{folder}", part=part, image_size=image_size)


def test_a_folder_is_read_as_it_lies(tmp_path):
    write_images(tmp_path / "train")
    data = load_dataset(f"folder:{tmp_path}")
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    first = np.asarray(Image.open(tmp_path / "train" / "cat" / "0.png"))
    assert np.array_equal(data.images[0], first.transpose(2, 0, 1))


def test_grey_images_have_one_channel(tmp_path):
    write_images(tmp_path / "train", mode="L")
    assert load_dataset(f"folder:{tmp_path}").images.shape == (6, 1, 8, 8)


def test_the_second_reading_comes_from_the_cache_until_a_file_changes(tmp_path, monkeypatch):
    folder = write_images(tmp_path / "train")
    before = load_dataset(f"folder:{tmp_path}")
    with monkeypatch.context() as patch:
        patch.setattr("train_eval.data.folder.decode", None)  # would fail if it were called
        assert load_dataset(f"folder:{tmp_path}").fingerprint == before.fingerprint
    Image.new("RGB", (8, 8)).save(folder / "cat" / "0.png")
    after = load_dataset(f"folder:{tmp_path}")
    assert after.fingerprint != before.fingerprint
    assert not after.images[0].any()


def test_resizing_averages_areas(tmp_path):
    write_images(tmp_path / "train", size=(16, 16))
    full = load_dataset(f"folder:{tmp_path}").images.astype(float)
    half = load_dataset(f"folder:{tmp_path}", image_size=8).images
    means = full.reshape(6, 3, 8, 2, 8, 2).mean(axis=(3, 5))
    assert np.abs(half - means).max() <= 1  # Pillow rounds after each direction


def test_photos_are_turned_upright(tmp_path):
    write_images(tmp_path / "train", size=(8, 8))
    picture = Image.new("L", (8, 8))
    picture.putpixel((7, 0), 255)  # top right as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.convert("RGB").save(tmp_path / "train" / "cat" / "0.png", exif=exif)
    image = load_dataset(f"folder:{tmp_path}").images[0, 0]
    assert np.argwhere(image == 255).tolist() == [[7, 7]]  # bottom right


def one_class(folder):
    write_images(folder, classes=("cat",))


def a_class_without_images(folder):
    write_images(folder)
    (folder / "empty").mkdir()


def an_unreadable_image(folder):
    write_images(folder)
    (folder / "cat" / "broken.png").write_bytes(b"not an image")


def a_truncated_image(folder):
    write_images(folder, size=(64, 64))
    whole = (folder / "cat" / "0.png").read_bytes()
    (folder / "cat" / "0.png").write_bytes(whole[: len(whole) // 2])


def floats(folder):
    write_images(folder)
    Image.fromarray(np.full((8, 8), 0.5, dtype=np.float32)).save(folder / "dog" / "deep.tif")


def not_square(folder):
    write_images(folder, size=(10, 8))


def several_sizes(folder):
    write_images(folder)
    Image.new("RGB", (9, 8)).save(folder / "dog" / "wide.png")


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda folder: None, "there is no folder"),
        (one_class, "at least 2 classes.*cat"),
        (a_class_without_images, "needs images.*empty"),
        (an_unreadable_image, r"broken\.png \(not an image\)"),
        (a_truncated_image, r"0\.png.*repair or remove"),
        (floats, r"deep\.tif has pixels of mode F.*8 or 16 bits"),
        (not_square, r"must be square.*10x8.*image_size"),
        (several_sizes, "one size.*9x8.*image_size"),
    ],
)
def test_unusable_folders_are_refused_and_leave_no_cache(tmp_path, monkeypatch, prepare, message):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prepare(tmp_path / "data" / "train")
    with pytest.raises(InvalidInput, match=message):
        load_dataset(f"folder:{tmp_path / 'data'}")
    assert not list(tmp_path.glob("cache/**/images.npy"))


def test_cifar10_images_are_read_from_their_folder(tmp_path, shared_data):
    import tarfile

    with tarfile.open(shared_data / "cifar10-jpeg.tar.gz") as archive:
        some = [m for m in archive if m.name.endswith(tuple(f"/000{i}.jpg" for i in range(10)))]
        archive.extractall(tmp_path, members=some, filter="data")
    data = load_dataset(f"folder:{tmp_path}")
    assert data.images.shape == (100, 3, 32, 32)
    assert data.class_names[0] == "airplane"
    assert np.bincount(data.labels).tolist() == [10] * 10


def test_a_folder_is_read_in_torchvision_s_order(tmp_path):
    from torchvision.datasets import ImageFolder

    write_images(tmp_path / "train", ("b", "a", "a b"), count=11)
    write_images(tmp_path / "train" / "a" / "below", ("z", "y"))
    expected = ImageFolder(tmp_path / "train")
    data = read(tmp_path)
    pixels = [np.asarray(image).transpose(2, 0, 1) for image, _ in expected]
    assert data.class_names == tuple(expected.classes)
    assert data.labels.tolist() == expected.targets
    assert np.array_equal(data.images, pixels)


@pytest.mark.parametrize(
    "name",
    [".ipynb_checkpoints", "__MACOSX", ".git", "Thumbs.db", "desktop.ini", "._0.png", ".DS_Store"],
)
def test_what_is_hidden_or_of_a_system_is_no_class_and_no_image(tmp_path, name):
    write_images(tmp_path / "train")
    plain = read(tmp_path)
    for folder in (tmp_path / "train", tmp_path / "train" / "cat"):
        if "." in name[1:]:
            (folder / name).write_bytes(b"junk")
        else:
            write_images(folder, (name,))
    data = read(tmp_path)
    assert data.fingerprint == plain.fingerprint
    assert [(s.count, s.reason) for s in data.reading.skipped] == [
        (2, "hidden or an operating system's")
    ]


@pytest.mark.parametrize("name", ["0.jfif", "0.gif", "0.PNG", "0", "0.dat", "0.webp", "0.jp2"])
def test_what_pillow_reads_is_read_whatever_it_is_called(tmp_path, name):
    write_images(tmp_path / "train")
    kind = {".jfif": "JPEG", ".gif": "GIF", ".webp": "WEBP", ".jp2": "JPEG2000"}
    picture = Image.new("RGB", (8, 8), "red")
    path = tmp_path / "train" / "dog" / name
    picture.save(path, kind.get(path.suffix, "PNG"))
    assert read(tmp_path).reading.images_per_class == (3, 4)


def test_what_is_no_picture_is_skipped_and_said(tmp_path):
    write_images(tmp_path / "train")
    (tmp_path / "train" / "labels.csv").write_text("a,b")
    for name in ("a.txt", "b.txt", "LICENSE", "paper.pdf", "plot.eps"):
        (tmp_path / "train" / "cat" / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")
    reading = read(tmp_path).reading
    assert reading.sentences() == [
        "Read 6 images of 2 classes: cat 3, dog 3.",
        "Skipped train/labels.csv (in no class's folder).",
        "Skipped 2, such as train/cat/a.txt (no picture that Pillow reads, .txt).",
        "Skipped train/cat/plot.eps (no picture that Pillow reads, .eps).",
        "Skipped train/cat/paper.pdf (no picture that Pillow reads, .pdf).",
        "Skipped train/cat/LICENSE (no picture that Pillow reads, without a suffix).",
    ]


def test_dead_links_and_pipes_are_skipped_and_said(tmp_path):
    write_images(tmp_path / "train")
    cat = tmp_path / "train" / "cat"
    (cat / "dead.png").symlink_to(tmp_path / "nowhere.png")
    (cat / "itself.png").symlink_to("itself.png")
    os.mkfifo(cat / "pipe.png")
    reading = read(tmp_path).reading
    assert reading.images_per_class == (3, 3)
    assert [str(skipped) for skipped in reading.skipped] == [
        "Skipped 2, such as train/cat/dead.png (a link to nothing).",
        "Skipped train/cat/pipe.png (no regular file).",
    ]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../.."])
def test_links_back_up_are_not_followed_and_others_are(tmp_path, target):
    write_images(tmp_path / "data" / "train")
    write_images(tmp_path / "elsewhere", ("more",))
    cat = tmp_path / "data" / "train" / "cat"
    (cat / "loop").symlink_to(target, target_is_directory=True)
    (cat / "more").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    reading = read(tmp_path / "data").reading
    assert reading.images_per_class == (6, 3)
    assert "train/cat/loop (a link to a folder that it lies in)" in str(reading.skipped[0])


def test_classes_are_compared_by_their_normal_form(tmp_path):
    write_images(tmp_path / "train", (NFD, "cat", "cafz"))
    write_images(tmp_path / "test", (NFC, "cat", "cafz"))
    train, test = load_train_and_test(f"folder:{tmp_path}")
    assert train.class_names == test.class_names == (NFD, "cafz", "cat")
    for label in range(3):  # the same pictures have the same label
        own = {image.tobytes() for image in train.images[train.labels == label]}
        assert own == {image.tobytes() for image in test.images[test.labels == label]}
    write_images(tmp_path / "train", (NFC,))
    with pytest.raises(InvalidInput, match="two folders that are both called"):
        read(tmp_path)


def test_names_that_are_no_unicode_are_read(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    write_images(tmp_path / "train", (name, "dog"))
    assert read(tmp_path).class_names == (name, "dog")
    assert read(tmp_path).class_names == (name, "dog")  # from the cache


def test_a_rare_class_may_be_missing_among_the_test_images(tmp_path):
    write_images(tmp_path / "train", ("cat", "dog", "horse"))
    assert not has_test_images(f"folder:{tmp_path}")
    write_images(tmp_path / "test", ("cat", "horse"))
    (tmp_path / "test" / "dog").mkdir()
    assert has_test_images(f"folder:{tmp_path}")
    check_parts(f"folder:{tmp_path}")
    _, test = load_train_and_test(f"folder:{tmp_path}")
    assert test.class_names == ("cat", "dog", "horse")
    assert test.labels.tolist() == [0, 0, 0, 2, 2, 2]
    assert test.reading.images_per_class == (3, 0, 3)


@pytest.mark.parametrize("part", ["test", "val"])
def test_before_a_search_only_the_classes_that_differ_are_named(tmp_path, monkeypatch, part):
    write_images(tmp_path / "train", ("cat", "dog", "horse"), count=1)
    write_images(tmp_path / part, ("cat", "hoarse"), count=1)
    monkeypatch.setattr("train_eval.data.folder.read_picture", None)  # no pixels are read
    with pytest.raises(InvalidInput, match=r"not trained on: hoarse \(.* alone has dog, horse\)"):
        check_parts(f"folder:{tmp_path}")


def test_before_a_search_sizes_and_unreadable_test_images_are_found(tmp_path):
    write_images(tmp_path / "train")
    write_images(tmp_path / "test", size=(9, 9))
    name = f"folder:{tmp_path}"
    with pytest.raises(InvalidInput, match=r"training images have 8x8.*9x9.*image_size"):
        check_parts(name)
    check_parts(name, image_size=8)
    (tmp_path / "test" / "cat" / "0.png").write_bytes(b"junk")
    with pytest.raises(InvalidInput, match=r"test/cat/0\.png \(not an image\)"):
        check_parts(name)


def test_a_test_folder_without_classes_is_refused_before_a_search(tmp_path):
    write_images(tmp_path / "train")
    (tmp_path / "test").mkdir()
    check_parts(f"folder:{tmp_path}")  # an empty folder says nothing
    Image.new("RGB", (8, 8)).save(tmp_path / "test" / "0.png")
    with pytest.raises(InvalidInput, match="test has no folders of classes"):
        check_parts(f"folder:{tmp_path}")


@pytest.mark.parametrize(
    ("train", "test", "note"),
    [
        ("RGB", "L", "6 of 6 pictures are grey, others in colour: three equal channels."),
        ("L", "RGB", "6 of 6 pictures are in colour, unlike the training images: made grey."),
    ],
)
def test_test_images_have_the_mode_of_the_training_images(tmp_path, train, test, note):
    write_images(tmp_path / "train", mode=train)
    write_images(tmp_path / "test", mode=test)
    trained, tested = load_train_and_test(f"folder:{tmp_path}")
    assert trained.images.shape == tested.images.shape
    assert tested.reading.notes == (note,)
    with Image.open(tmp_path / "test" / "cat" / "0.png") as picture:
        expected = np.asarray(picture.convert(train))
    image = tested.images[0]
    assert np.array_equal(image[0] if train == "L" else image.transpose(1, 2, 0), expected)


@pytest.mark.parametrize("folder", ["val", "valid", "validation"])
def test_a_validation_folder_holds_the_validation_images(tmp_path, folder):
    name = f"folder:{tmp_path}"
    write_images(tmp_path / "train", count=5)
    train = load_dataset(name)
    assert not has_validation_images(name)
    assert load_own_validation(name, train) is None
    write_images(tmp_path / folder, count=2)
    assert has_validation_images(name)
    assert load_own_validation(name, train).reading.images_per_class == (2, 2)
    assert load_dataset(name).fingerprint == train.fingerprint


def test_a_search_takes_its_reward_from_the_validation_folder(tmp_path):
    from train_eval.training.evaluator import TrainingEvaluator

    write_images(tmp_path / "train", count=20)
    settings = {"dataset": f"folder:{tmp_path}", "recipe": "quick", "device": "cpu"}
    split = TrainingEvaluator(**settings)
    write_images(tmp_path / "val", count=3)
    own = TrainingEvaluator(**settings)
    assert len(split.data.train) + len(split.data.validation) == 40
    assert (len(own.data.train), len(own.data.validation)) == (40, 6)
    assert own.task != split.task


def test_two_validation_folders_are_refused(tmp_path):
    for folder in ("train", "val", "valid"):
        write_images(tmp_path / folder)
    with pytest.raises(InvalidInput, match="val and valid: move their images into one"):
        read(tmp_path, "validation")


def test_a_class_without_images_is_named_with_what_was_skipped(tmp_path):
    write_images(tmp_path / "train")
    (tmp_path / "train" / "empty").mkdir()
    (tmp_path / "train" / "empty" / "list.txt").write_text("nothing")
    with pytest.raises(InvalidInput, match=r"empty has none.*Skipped train/empty/list\.txt"):
        read(tmp_path)


def test_transparent_pictures_are_told(tmp_path):
    write_images(tmp_path / "train")
    Image.new("RGBA", (8, 8), (0, 255, 0, 0)).save(tmp_path / "train" / "cat" / "0.png")
    data = read(tmp_path)
    assert (data.images[0] == 255).all()
    assert data.reading.notes == ("1 of 6 pictures may have transparent pixels: shown on white.",)


def test_padded_pictures_keep_every_pixel_and_cropped_ones_the_middle(tmp_path):
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    for part in ("train", "test"):
        for name, pixels in (("wide", wide), ("tall", wide.transpose(1, 0, 2))):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(2):
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.png")
    padded = read(tmp_path, image_size="pad:8")
    expected = np.full((3, 8, 8), 128, dtype=np.uint8)
    expected[:, 2:6] = wide.transpose(2, 0, 1)
    assert np.array_equal(padded.images[padded.class_names.index("wide") * 2], expected)
    cropped = read(tmp_path, image_size=4).images
    assert np.array_equal(cropped[-1], wide.transpose(2, 0, 1)[:, :, 2:6])
    with pytest.raises(InvalidInput, match=r"must be square.*pad:32"):
        read(tmp_path)


@pytest.mark.parametrize("size", [0, -1, "pad:0", "pad", "pad:x", "8", "pad:1000000000"])
def test_an_image_size_that_is_none_is_refused(size):
    with pytest.raises(InvalidInput, match="image_size must be a number of pixels"):
        Recipe(image_size=size)


def test_a_part_that_is_a_link_to_nothing_is_refused(tmp_path):
    write_images(tmp_path / "train")
    (tmp_path / "test").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="test is a link to nothing: mend it, or remove it"):
        check_parts(f"folder:{tmp_path}", None)
