"""What an .npz file may hold, however people stored it, and how a bad one is refused."""

import io
import struct
import zipfile

import numpy as np
import pytest

from gym_cnnarch import InvalidInput
from train_eval.data import archive
from train_eval.data.sources import (
    check_parts,
    has_test_images,
    has_validation_images,
    load_dataset,
    load_train_and_test,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def read(path, part="train", **arrays):
    """What is read of a file with those arrays, pixels 0 to 255 and labels 0 to 2 unless given."""
    np.savez(path / "data.npz", **{"x_train": IMAGES, "y_train": LABELS, **arrays})
    return load_dataset(f"npz:{path / 'data.npz'}", part=part)


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


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((4, 8, 8), np.uint8)}, "must hold x_train and y_train"),
        ({"x_train": np.full((4, 8, 8), -1.0), "y_train": np.arange(4) % 2}, r"from -1\.0 to"),
        ({"x_train": np.full((4, 8, 8), np.nan), "y_train": np.arange(4) % 2}, "from nan"),
        ({"x_train": np.full((4, 8, 8), 70_000), "y_train": np.arange(4) % 2}, "16 bits.*70000"),
        ({"x_train": np.full((4, 8, 8), "a"), "y_train": np.arange(4) % 2}, "no numbers"),
        ({"x_train": np.zeros((4, 8, 9), np.uint8), "y_train": np.arange(4) % 2}, "square.*9x8"),
        ({"x_train": np.zeros((4, 2, 8, 8), np.uint8), "y_train": np.arange(4) % 2}, "of shape"),
        ({"x_train": np.zeros((0, 8, 8), np.uint8), "y_train": np.arange(4) % 2}, "0 images"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.arange(5) % 2}, "one label an"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.arange(4) / 2}, "an integer or"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.ones((4, 2))}, "an integer or"),
        ({"x_train": np.zeros((4, 8, 8), np.uint8), "y_train": np.zeros(4, int)}, "2 classes"),
        (
            {
                "x_train": np.zeros((4, 8, 8), np.uint8),
                "y_train": np.arange(4) % 2,
                "class_names": np.array(["one"]),
            },
            "one class name for each of 2",
        ),
        (
            {
                "x_train": np.zeros((4, 8, 8), np.uint8),
                "y_train": np.arange(4) % 2,
                "class_names": np.array("one"),
            },
            r"class_names has the shape \(\)",
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


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS[:, None], "012"),
        (LABELS + 1, "123"),
        (LABELS * 2, "024"),
        (LABELS.astype(np.float32), "012"),
        (LABELS.astype(np.uint8), "012"),
        (np.eye(3)[LABELS], "012"),
        (np.array(["a", "b", "c"])[LABELS], "abc"),
        (np.array([b"a", b"b", b"c"])[LABELS], "abc"),
    ],
)
def test_labels_are_read_as_people_store_them(tmp_path, labels, names):
    data = read(tmp_path, y_train=labels)
    assert data.labels.tolist() == LABELS.tolist()
    assert data.class_names == tuple(names)
    plain = labels.ndim == 1 and names != "123" and names != "024"
    assert (len(data.reading.notes) == 0) == plain


@pytest.mark.parametrize("labels", [LABELS, LABELS + 1, np.array(["z", "y", "x"])[LABELS]])
def test_class_names_are_those_of_the_labels(tmp_path, labels):
    data = read(tmp_path, y_train=labels, class_names=np.array(["z", "y", "x"]))
    assert data.class_names == ("z", "y", "x")
    assert data.labels.tolist() == LABELS.tolist()


def test_texts_are_compared_in_their_normal_form(tmp_path):
    names = np.array(["caf\u00e9", "dog", "horse"])
    others = np.array(["cafe\u0301", "dog", "horse"])
    data = read(
        tmp_path, "test", y_train=names[LABELS], class_names=others, x_test=IMAGES,
        y_test=others[LABELS],
    )  # fmt: skip
    assert data.class_names == tuple(names)
    assert data.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    ("stored", "note"),
    [
        (IMAGES.transpose(0, 3, 1, 2), "channels first"),
        (IMAGES.astype(np.uint16) * 257, "upper 8 were kept"),
        (IMAGES.astype(">u2") * 256 + 255, "upper 8 were kept"),
        (IMAGES.astype(np.int64), "of int64: taken as 0 to 255"),
        (IMAGES.astype(np.float32), "of float32: taken as 0 to 255"),
        (IMAGES / 255, "multiplied by 255"),
        ((IMAGES / 255).astype(np.float16), "multiplied by 255"),
    ],
)
def test_images_are_read_as_people_store_them(tmp_path, stored, note):
    data = read(tmp_path, x_train=stored)
    assert np.array_equal(data.images, IMAGES.transpose(0, 3, 1, 2))
    assert len(data.reading.notes) == 1
    assert note in data.reading.notes[0]


def test_test_images_have_the_classes_and_the_scale_of_the_training_images(tmp_path):
    dark = (IMAGES // 4).astype(np.float32) / 255
    dark[:4] /= 100  # alone, they would seem to be of any scale
    read(tmp_path, x_train=IMAGES / np.float32(255), x_test=dark, y_test=LABELS * 2 % 3)
    name = f"npz:{tmp_path / 'data.npz'}"
    check_parts(name)
    _, test = load_train_and_test(name)
    assert np.array_equal(test.images[4:], IMAGES.transpose(0, 3, 1, 2)[4:] // 4)
    with pytest.raises(InvalidInput, match="another range"):
        read(tmp_path, "test", x_train=IMAGES / 255, x_test=IMAGES * 1.0, y_test=LABELS)


def test_only_the_classes_that_differ_are_named(tmp_path, monkeypatch):
    read(tmp_path, y_train=LABELS + 1, x_test=IMAGES, y_test=LABELS + 2)
    read_arrays, read_one = [], archive.read
    monkeypatch.setattr(
        archive, "read", lambda path, name: (read_arrays.append(name), read_one(path, name))[1]
    )
    with pytest.raises(InvalidInput, match="in y_test that are not trained on: 4; "):
        check_parts(f"npz:{tmp_path / 'data.npz'}")
    assert read_arrays == ["y_train", "y_test"]


@pytest.mark.parametrize("part", ["val", "valid", "validation"])
def test_validation_images_are_used_as_people_mean_them(tmp_path, part):
    read(tmp_path)
    name = f"npz:{tmp_path / 'data.npz'}"
    assert not has_validation_images(name)
    assert not has_test_images(name)
    own = {f"x_{part}": IMAGES[:4], f"y_{part}": LABELS[:4]}
    assert len(read(tmp_path, "validation", **own).labels) == 4
    assert has_validation_images(name)


def test_labels_without_images_or_images_without_labels_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="must hold x_test and y_test"):
        read(tmp_path, "test", x_test=IMAGES)


def member(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def write(path, **members):
    content = {"x_train": member(IMAGES), "y_train": member(LABELS), **members}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, value in content.items():
            file.writestr(f"{name}.npy", value)


def header(shape, dtype="|u1"):
    content = io.BytesIO()
    described = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, described)
    return content.getvalue()


@pytest.mark.parametrize(
    ("x_train", "message"),
    [
        (header((10**12,)) + b"x", "at most 16 GiB"),
        (header((10**30, 10**30)) + b"x", "at most 16 GiB"),
        (header((10**6,)) + b"x", "uint8 of shape"),
        (header((12, 8, -8)) + b"x", "uint8 of shape"),
        (member(np.array([{}] * 12, dtype=object)), "allow_pickle"),
        (b"no magic", "magic string"),
        (b"", "magic string|EOF"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "EOF|read"),
        (b"\x93NUMPY\x01\x00\x04\x00(((\n", "EOF|header"),
        (b"\x93NUMPY\x07\x00\x04\x00(((\n", "format"),
    ],
)
def test_members_that_lie_are_refused_before_memory_is_taken(tmp_path, x_train, message):
    write(tmp_path / "data.npz", x_train=x_train)
    with pytest.raises(InvalidInput, match=rf"data\.npz.*({message})"):
        load_dataset(f"npz:{tmp_path / 'data.npz'}")


def flip(path, change):
    """Damages the bytes of the first member."""
    content = bytearray(path.read_bytes())
    change(content)
    path.write_bytes(content)


def corrupt_stream(content):
    start = 30 + len("x_train.npy") + 10
    content[start : start + 200] = bytes(200)


def encrypted(content):
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = content.index(signature) + offset
        (flags,) = struct.unpack_from("<H", content, position)
        struct.pack_into("<H", content, position, flags | 1)


def unknown_compression(content):
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", content, content.index(signature) + offset, 77)


@pytest.mark.parametrize("change", [corrupt_stream, encrypted, unknown_compression])
def test_damaged_members_are_refused_with_one_sentence(tmp_path, change):
    path = tmp_path / "data.npz"
    write(path)
    flip(path, change)
    with pytest.raises(InvalidInput, match=r"not a readable \.npz file \(x_train: .+\)\.$"):
        load_dataset(f"npz:{path}")


def test_members_that_are_not_used_are_not_decompressed(tmp_path):
    path = tmp_path / "data.npz"
    write(path, huge=member(IMAGES))

    def corrupt_huge(content):
        start = content.index(b"huge.npy") + 50
        content[start : start + 200] = bytes(200)

    flip(path, corrupt_huge)
    with pytest.raises(InvalidInput):
        archive.read(path, "huge")
    assert len(load_dataset(f"npz:{path}").labels) == 12
