"""Data sets by name: what is read, and what is refused with one sentence."""

import numpy as np
import pytest
from PIL import Image

from gym_cnnarch import InvalidInput
from train_eval.data.sources import (
    has_test_images,
    load_dataset,
    load_own_validation,
    load_train_and_test,
    stratified_split,
)


def write_images(folder, classes=("cat", "dog"), count=3, size=(8, 8), mode="RGB"):
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
            pixels = rng.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def test_the_digits_are_two_disjoint_parts_that_never_change():
    train, test = load_dataset("digits"), load_dataset("digits", part="test")
    assert train.images.shape == (1437, 1, 8, 8)
    assert test.images.shape == (360, 1, 8, 8)
    everything = np.concatenate([train.images, test.images])
    assert len(np.unique(everything.reshape(1797, -1), axis=0)) == 1797
    assert np.abs(np.bincount(train.labels) / 1437 - np.bincount(test.labels) / 360).max() < 0.005
    assert train.fingerprint[:16] == "bf76ec0be0393266"


def test_a_folder_is_read_as_it_lies(tmp_path):
    write_images(tmp_path / "train")
    data = load_dataset(f"folder:{tmp_path}")
    assert data.class_names == ("cat", "dog")
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    first = np.asarray(Image.open(tmp_path / "train" / "cat" / "0.png"))
    assert np.array_equal(data.images[0], first.transpose(2, 0, 1))


def test_test_images_must_be_like_the_training_images(tmp_path):
    name = f"folder:{tmp_path}"
    write_images(tmp_path / "train", ("cat", "dog", "horse"))
    assert not has_test_images(name)
    write_images(tmp_path / "test", ("cat", "horse"))
    assert has_test_images(name)
    with pytest.raises(InvalidInput, match=r"other classes .*: cat, horse, not cat, dog"):
        load_train_and_test(name)
    write_images(tmp_path / "test", ("dog",))
    assert [len(part.labels) for part in load_train_and_test(name)] == [9, 9]
    write_images(tmp_path / "grey" / "train")
    write_images(tmp_path / "grey" / "test", mode="L")
    with pytest.raises(InvalidInput, match=r"shape \(1, 8, 8\), its training images \(3, 8, 8\)"):
        load_train_and_test(f"folder:{tmp_path / 'grey'}")


def test_a_data_set_without_validation_images_has_them_split_off():
    assert load_own_validation("digits", load_dataset("digits")) is None
    with pytest.raises(InvalidInput, match=r"digits has no validation images of its own"):
        load_dataset("digits", part="validation")


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


@pytest.mark.parametrize("shape", [(12, 8, 8), (12, 8, 8, 1), (12, 8, 8, 3)])
def test_npz_files_hold_images_and_labels(tmp_path, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.arange(12) % 3
    np.savez(tmp_path / "data.npz", x_train=images, y_train=labels)
    data = load_dataset(f"npz:{tmp_path / 'data.npz'}")
    assert data.images.shape == (12, shape[3] if len(shape) == 4 else 1, 8, 8)
    assert np.array_equal(data.images[5, 0], images[5] if len(shape) == 3 else images[5, :, :, 0])
    assert np.array_equal(data.labels, labels)
    assert data.class_names == ("0", "1", "2")


def test_photos_are_turned_upright(tmp_path):
    write_images(tmp_path / "train", size=(8, 8))
    picture = Image.new("L", (8, 8))
    picture.putpixel((7, 0), 255)  # top right as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    picture.convert("RGB").save(tmp_path / "train" / "cat" / "0.png", exif=exif)
    image = load_dataset(f"folder:{tmp_path}").images[0, 0]
    assert np.argwhere(image == 255).tolist() == [[7, 7]]  # bottom right


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((4, 8, 8), np.uint8)}, "must hold x_train and y_train"),
        ({"x_train": np.zeros((4, 8, 8)), "y_train": np.arange(4) % 2}, "uint8"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.arange(5) % 2}, "one integer"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.zeros(4, int)}, "2 classes"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.array([0, 0, 2, 2])}, "0 to K"),
        (
            {
                "x_train": np.zeros((4, 8, 8), np.uint8),
                "y_train": np.arange(4) % 2,
                "class_names": np.array(["one"]),
            },
            "one class name for each of 2",
        ),
    ],
)
def test_unusable_npz_files_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(InvalidInput, match=message):
        load_dataset(f"npz:{tmp_path / 'data.npz'}")


def truncated(path):
    np.savez(path, x_train=np.zeros((4, 8, 8), np.uint8), y_train=np.arange(4) % 2)
    path.write_bytes(path.read_bytes()[:-100])


def an_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize("write", [lambda p: p.write_text("no archive"), truncated, an_array])
def test_a_file_that_is_no_npz_is_refused(tmp_path, write):
    write(tmp_path / "data.npz")
    with pytest.raises(InvalidInput, match=r"not a readable .npz file"):
        load_dataset(f"npz:{tmp_path / 'data.npz'}")


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


def sixteen_bits(folder):
    write_images(folder)
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(folder / "dog" / "deep.png")


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
        (sixteen_bits, r"deep\.png has pixels of mode I;16.*8 bits"),
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


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"'cifar'.*cifar10.*folder:PATH"):
        load_dataset("cifar")


def test_a_download_that_fails_names_data_root(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(InvalidInput, match=r"CIFAR10.*no route to host.*set data_root"):
        load_dataset("cifar10", data_root=tmp_path)


def test_splits_keep_the_class_balance_and_are_disjoint():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    kept, out = stratified_split(labels, 0.2, "validation")
    assert sorted([*kept, *out]) == list(range(100))
    assert np.bincount(labels[out]).tolist() == [12, 6, 2]


def test_a_split_that_is_impossible_names_the_sizes():
    with pytest.raises(InvalidInput, match=r"hold out 5000 of 100 images of 3 classes"):
        stratified_split(np.arange(100) % 3, 5000, "validation")


def test_cifar10_images_are_read_from_their_folder(tmp_path, shared_data):
    import tarfile

    with tarfile.open(shared_data / "cifar10-jpeg.tar.gz") as archive:
        some = [m for m in archive if m.name.endswith(tuple(f"/000{i}.jpg" for i in range(10)))]
        archive.extractall(tmp_path, members=some, filter="data")
    data = load_dataset(f"folder:{tmp_path}")
    assert data.images.shape == (100, 3, 32, 32)
    assert data.class_names[0] == "airplane"
    assert np.bincount(data.labels).tolist() == [10] * 10
