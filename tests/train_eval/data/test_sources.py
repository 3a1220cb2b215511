"""Data sets by name: what is read, and what is refused with one sentence."""

import gymnasium as gym
import numpy as np
import pytest

from gym_cnnarch import InvalidInput
from train_eval.data.sources import (
    check_parts,
    has_test_images,
    load_dataset,
    load_own_validation,
    stratified_split,
    stratified_subset,
)


def test_the_digits_are_two_disjoint_parts_that_never_change():
    train, test = load_dataset("digits"), load_dataset("digits", part="test")
    assert train.images.shape == (1437, 1, 8, 8)
    assert test.images.shape == (360, 1, 8, 8)
    everything = np.concatenate([train.images, test.images])
    assert len(np.unique(everything.reshape(1797, -1), axis=0)) == 1797
    assert np.abs(np.bincount(train.labels) / 1437 - np.bincount(test.labels) / 360).max() < 0.005
    assert train.fingerprint[:16] == "bf76ec0be0393266"


def test_a_data_set_without_validation_images_has_them_split_off():
    assert load_own_validation("digits", load_dataset("digits")) is None
    with pytest.raises(InvalidInput, match=r"digits has no validation images of its own"):
        load_dataset("digits", part="validation")


def test_an_unknown_name_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"'cifar'.*cifar10.*folder:PATH"):
        load_dataset("cifar")


@pytest.mark.parametrize("kind", ["folder", "npz"])
def test_what_the_file_system_refuses_is_told_in_a_sentence(kind):
    for use in (load_dataset, has_test_images, check_parts):
        with pytest.raises(InvalidInput, match=r"Cannot read the data set .*File name too long"):
            use(f"{kind}:{'a' * 5000}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cifar10", r"CIFAR10 .*no route to host.*set data_root.*cifar-10-batches-py/"),
        ("cifar100", "cifar-100-python/train and test"),
        ("svhn", r"train_32x32\.mat"),
        ("mnist", "MNIST/raw/train-images-idx3-ubyte"),
        ("fashionmnist", "FashionMNIST/raw/train-images-idx3-ubyte"),
    ],
)
def test_a_download_that_fails_names_torchvision_s_layout_and_leaves_no_folder(
    tmp_path, monkeypatch, name, expected
):
    def no_network(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(InvalidInput, match=expected):
        load_dataset(name, data_root=tmp_path / "new" / "root")
    assert not list(tmp_path.iterdir())


def test_damaged_torchvision_files_are_refused_in_a_sentence(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(b"damaged")
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(b"damaged")
    with pytest.raises(InvalidInput, match="MNIST is neither under"):
        load_dataset("mnist", data_root=tmp_path)


def test_torchvision_files_that_changed_are_read_anew(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)

    def write(pixel):
        sizes = (20).to_bytes(4, "big")
        for part in ("train", "t10k"):
            images = b"\0\0\x08\x03" + sizes + 2 * (28).to_bytes(4, "big")
            (raw / f"{part}-images-idx3-ubyte").write_bytes(images + 20 * 28 * 28 * bytes([pixel]))
            labels = b"\0\0\x08\x01" + sizes + bytes(2 * list(range(10)))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)

    for pixel in (3, 77):
        write(pixel)
        assert set(load_dataset("mnist", data_root=tmp_path).images.ravel()) == {pixel}


def test_a_path_is_no_data_set_s_name(tmp_path):
    with pytest.raises(InvalidInput, match="A dataset is a text"):
        gym.make("CNNArch-v0", dataset=tmp_path)


def test_splits_keep_the_class_balance_and_are_disjoint():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    kept, out = stratified_split(labels, 0.2, "validation")
    assert sorted([*kept, *out]) == list(range(100))
    assert np.bincount(labels[out]).tolist() == [12, 6, 2]


def test_a_split_that_is_impossible_names_the_sizes():
    with pytest.raises(InvalidInput, match=r"hold out 5000 of 100 images of 3 classes"):
        stratified_split(np.arange(100) % 3, 5000, "validation")


def test_a_split_that_lacks_a_second_image_of_a_class_names_the_class():
    labels = np.array([0] * 10 + [1] * 10 + [2])
    with pytest.raises(InvalidInput, match=r"1 of horse: add images to it, or remove the class"):
        stratified_split(labels, 0.2, "validation", ["cat", "dog", "horse"])
    with pytest.raises(InvalidInput, match=r"1 of 2: add images"):
        stratified_split(labels, 0.2, "validation")


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ((400, 400, 401), 1200),
        ((50, 30, 1), 40),
        ((50, 1, 1), 3),
        ((1000, 2, 2), 5),
        ((7, 7, 7), 20),
    ],
)
def test_a_subset_keeps_the_balance_and_every_class_whatever_is_left_out(counts, size):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), counts))
    chosen = stratified_subset(labels, size, "training")
    assert len(set(chosen)) == len(chosen) == size
    assert np.array_equal(chosen, stratified_subset(labels, size, "training"))
    taken = np.bincount(labels[chosen], minlength=3)
    shares = np.array(counts) * size / sum(counts)
    assert (taken >= 1).all()
    assert (abs(taken - shares) < 2).all()


def test_a_subset_that_scikit_learn_can_draw_is_the_one_that_it_draws():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    _, drawn = stratified_split(labels, 40, "training")
    assert np.array_equal(stratified_subset(labels, 40, "training"), drawn)


def test_a_subset_smaller_than_the_classes_is_refused():
    with pytest.raises(InvalidInput, match="Cannot take 2 of 30 images of 3 classes for training"):
        stratified_subset(np.arange(30) % 3, 2, "training")
