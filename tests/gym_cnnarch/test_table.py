"""Tables of results: what is saved is found, damage is noticed, and the evaluator adds nothing."""

import hashlib
import json
import zipfile
from dataclasses import asdict, fields, replace

import numpy as np
import pytest

from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.rewards.table import MISSING, Table
from gym_cnnarch.rewards.table_evaluator import TableEvaluator, find_table
from tests.helpers.made_up_tables import IMAGES, SPACE, TESTS, make_table

ARRAYS = [field.name for field in fields(Table) if field.name != "metadata"]
EVALUATOR = "gym_cnnarch.rewards.table_evaluator:TableEvaluator"


@pytest.fixture
def table():
    return make_table()


@pytest.fixture
def file(table, tmp_path):
    table.save(tmp_path / "table.npz")
    return tmp_path / "table.npz"


def test_a_file_holds_the_whole_table(table, file):
    loaded = Table.load(file)
    assert loaded.metadata == table.metadata
    assert loaded.space == SPACE
    for name in ("correct_validation", "correct_test", "status", "train_seconds", "macs"):
        assert np.array_equal(getattr(loaded, name), getattr(table, name))
        assert getattr(loaded, name).dtype == getattr(table, name).dtype
    with np.load(file, allow_pickle=False) as arrays:  # a reader without this package
        assert json.loads(str(arrays["header"]))["metadata"] == table.metadata


def test_an_evaluation_is_what_the_training_gave(table):
    for rank in range(SPACE.count()):
        evaluation = table.evaluation(rank, 1)
        curve = [int(c) / IMAGES for c in table.correct_validation[1, rank] if c != MISSING]
        assert list(evaluation.curve) == curve
        assert evaluation.accuracy == max(curve)
        assert evaluation.learning_rate == 0.003
        if evaluation.status == "ok":
            assert evaluation.test_accuracy == int(table.correct_test[1, rank]) / TESTS
            assert table.validation[1, rank] == evaluation.accuracy
        else:
            assert evaluation.status == "diverged"
            assert evaluation.test_accuracy is None
            assert table.validation[1, rank] == table.test[1, rank] == 0


def test_what_ended_well_has_every_epoch_s_accuracy(table):
    ok = np.flatnonzero(table.status[0] == 0)[0]
    table.correct_validation[0, ok, -1] = MISSING
    with pytest.raises(InvalidInput, match="ok must have every epoch's accuracy"):
        replace(table)


def test_a_failed_training_s_test_accuracy_is_0_whatever_it_answered(table):
    failed = np.flatnonzero(table.status[0] > 0)[0]
    table.correct_test[0, failed] = TESTS
    assert replace(table).test[0, failed] == 0.0


def test_a_table_in_the_home_folder_is_found(table, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    table.save(tmp_path / "mine.npz")
    assert find_table("~/mine.npz") == tmp_path / "mine.npz"


@pytest.mark.parametrize("where", [100, -3000, -60])
def test_damage_is_noticed(file, where):
    content = bytearray(file.read_bytes())
    content[where] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match="damaged"):
        Table.load(file)


def rewrite(file, **changes):
    """Replaces some arrays of a file, which stays a sound npz file."""
    with np.load(file) as arrays:
        content = dict(arrays)
    np.savez(file, **(content | changes))


def test_a_result_that_was_changed_is_noticed(table, file):
    rewrite(file, correct_test=table.correct_test + 1)
    with pytest.raises(InvalidInput, match="its checksum differs"):
        Table.load(file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"search_space": None}, "search_space = None"),
        ({"search_space": ["small"]}, r"search_space = \['small'\]"),
        ({"search_space": {"max_layers": [], "num_classes": 10}}, "lacks input_shape"),
        ({"search_space": {**asdict(SPACE), "max_layers": 10**6}}, "search space that has more"),
        ({"search_space": {**asdict(SPACE), "max_layers": 3}}, "search space that has more"),
        ({"search_space": {**asdict(SPACE), "max_layers": 1}}, "cannot have .* of shape"),
        ({"search_space": {**asdict(SPACE), "max_layers": 2.5}}, "max_layers must be"),
        ({"search_space": {**asdict(SPACE), "max_fc": 10**6, "fc_max_size": 10**6}}, "has more"),
        ({"search_space": {**asdict(SPACE), "pools": [[2, 2], [2, "2"]]}}, "pools must be"),
        ({"search_space": {**asdict(SPACE), "depth": 2}}, "has no .*'depth'"),
        ({"search_space": {**asdict(SPACE), "preset": ["small"]}}, "No search space"),
        ({"task": 5}, "task = 5"),
        ({"validation_images": 0}, "validation_images = 0"),
        ({"validation_images": "360"}, "validation_images = '360'"),
        ({"validation_images": 10}, "correct_validation must be"),
        ({"test_images": None}, "test_images = None"),
        ({"test_images": float("inf")}, "test_images = inf"),
        ({"test_images": 10}, "correct_test must be"),
        ({"seeds": 3}, "seeds = 3"),
        ({"seeds": []}, r"seeds = \[\]"),
        ({"seeds": [0, 0, 0]}, "seeds = "),
        ({"seeds": [0, 1, "2"]}, "seeds = "),
        ({"seeds": [0, 1, 2, 3]}, "4 seeds cannot have"),
    ],
)
def test_impossible_metadata_with_a_valid_checksum_is_one_sentence(table, file, changed, message):
    metadata = table.metadata | changed
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in ARRAYS:
        digest.update(np.ascontiguousarray(getattr(table, name)).data)
    header = {"format": 1, "checksum": digest.hexdigest(), "metadata": metadata}
    rewrite(file, header=np.array(json.dumps(header)))
    with pytest.raises(InvalidInput, match=message) as error:
        Table.load(file)  # where a space is too large to be counted, it is not counted
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "header", ["[]", "null", "5", '{"format": "1"}', '{"format": 1}', "[" * 100_000, "{"]
)
def test_a_header_that_is_none_is_one_sentence(file, header):
    rewrite(file, header=np.array(header))
    with pytest.raises(InvalidInput, match="no table of results"):
        Table.load(file)


def test_damaged_arrays_with_valid_checksums_of_the_archive_are_one_sentence(file):
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    rng = np.random.default_rng(0)
    for trial in range(150):
        name = list(members)[trial % len(members)]
        content = bytearray(members[name])
        position = int(rng.integers(128 if trial % 2 else len(content)))  # the header, or anywhere
        content[position] ^= int(rng.integers(1, 256))
        with zipfile.ZipFile(file, "w") as archive:
            for member, sound in members.items():
                archive.writestr(member, bytes(content) if member == name else sound)
        try:
            loaded = Table.load(file)
        except InvalidInput as error:
            assert "\n" not in str(error)
        else:  # a space in a header
            assert loaded.checksum() == make_table().checksum()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("status", lambda a: a + 100),
        ("status", lambda a: a.astype(float)),
        ("train_seconds", lambda a: a * np.nan),
        ("train_seconds", lambda a: a - 5),
        ("learning_rate", lambda a: a + np.inf),
        ("parameters", lambda a: -a),
        ("macs", lambda a: a.astype("U9")),
        ("correct_validation", lambda a: a - 10_000),
        ("correct_test", lambda a: a.astype(bool)),
    ],
)
def test_results_that_no_training_has_are_refused(table, name, change):
    with pytest.raises(InvalidInput, match=f"table's {name} must be"):
        replace(table, **{name: change(getattr(table, name))})


def sub_spaces():
    """Random limits within those of the shipped table's space."""
    whole = TableEvaluator().search_space
    rng = np.random.default_rng(0)
    for _ in range(8):
        limits = {
            name: [choice for choice in getattr(whole, name) if rng.random() < 0.7]
            for name in ("conv_filters", "conv_receptive_fields", "pools", "fc_neurons")
        }
        limits = {name: rng.permutation(choices).tolist() for name, choices in limits.items()}
        limits |= {name: int(rng.integers(1, 4)) for name in ("max_layers", "max_fc")}
        yield limits | {"max_fc": min(limits["max_fc"], whole.max_fc), "fc_max_size": 5}


@pytest.mark.parametrize("limits", [{"max_layers": 2}, *sub_spaces()])
@pytest.mark.parametrize("repeat", ["sample", "mean", 1])
def test_a_part_of_a_table_has_the_whole_table_s_results(limits, repeat):
    spec = {"preset": "small", **limits}
    env = CNNArchEnv(spec, evaluator=EVALUATOR, repeat=repeat)
    part, whole = env.evaluator, TableEvaluator(repeat=repeat)
    space = env.search_space
    assert part.search_space == space != whole.search_space
    assert CNNArchEnv(limits, evaluator=EVALUATOR).search_space == space  # of the table's own
    assert part.task == whole.task
    tests = []
    for rank in range(0, space.count(), 1 + space.count() // 200):
        network = space.unrank(rank)
        whole.search_space.validate(network)
        for choice in range(part.choices):
            assert part.result(rank, choice) == whole.evaluate(network, choice)
            assert part.evaluate(network, choice) == whole.evaluate(network, choice)
        tests.append(whole.mean_test[whole.search_space.rank(network)])
        assert part.regret(network) <= whole.regret(network)
    for by in ("validation", "test"):
        best = part.optimum(by)
        assert whole.evaluate(best.architecture) == part.evaluate(best.architecture)
    assert part.regret(part.optimum("test").architecture) == 0
    assert part.optimum("test").test >= max(tests)


def test_whole_and_parts_share_no_state(file):
    whole = TableEvaluator(table=file)
    optimum = whole.optimum()
    env = CNNArchEnv({**asdict(SPACE), "max_layers": 1}, evaluator=whole)
    assert env.evaluator is not whole
    assert whole.optimum() == optimum
    assert whole.search_space == SPACE
    assert CNNArchEnv(SPACE, evaluator=whole).evaluator is whole


@pytest.mark.parametrize(
    "limits",
    [
        {"max_layers": 3},
        {"conv_filters": [4, 8, 16]},
        {"pools": [[3, 2]]},
        {"fc_max_size": 8},
        {"max_fc": 3},
        {"num_classes": 9},
        {"input_shape": [1, 7, 7]},
    ],
)
def test_a_space_beyond_the_table_is_refused(file, limits):
    spec = {**asdict(SPACE), **limits}
    with pytest.raises(InvalidInput, match=r"another search space|the data's is"):
        CNNArchEnv(spec, evaluator=EVALUATOR, table=str(file))


def test_files_that_are_no_tables_are_refused(table, tmp_path):
    with pytest.raises(InvalidInput, match="no table"):
        Table.load(tmp_path / "missing.npz")
    with pytest.raises(InvalidInput, match="a name or a file, not 5"):
        TableEvaluator(table=5)
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(InvalidInput, match="no table of results"):
        Table.load(tmp_path / "other.npz")
    np.savez(tmp_path / "pickled.npz", header=np.array([{}], dtype=object))
    with pytest.raises(InvalidInput, match="no table of results"):
        Table.load(tmp_path / "pickled.npz")
    with pytest.raises(InvalidInput, match="cannot have macs of shape"):
        replace(table, macs=table.macs[1:])
    table.save(tmp_path / "newer.npz")
    rewrite(tmp_path / "newer.npz", header=np.array(json.dumps({"format": 99})))
    with pytest.raises(InvalidInput, match="format 99"):
        Table.load(tmp_path / "newer.npz")


def test_repeats_are_single_trainings_and_their_mean(table, file):
    sample, mean = TableEvaluator(table=file), TableEvaluator(table=file, repeat="mean")
    assert sample.repeats == sample.choices == 3
    for rank in range(SPACE.count()):
        architecture = SPACE.unrank(rank)
        each = [table.evaluation(rank, i) for i in range(3)]
        seconds = sorted(e.train_seconds for e in each)[1]  # the median
        for i in range(3):
            expected = replace(each[i], test_accuracy=None, train_seconds=seconds)
            assert sample.evaluate(architecture, i) == expected
            assert sample.evaluate(architecture, 3 + i) == expected
            assert TableEvaluator(table=file, repeat=i).evaluate(architecture, 7) == expected
        average = mean.evaluate(architecture)
        curves = [np.array(e.curve) for e in each if e.status == "ok"]
        assert average.curve == pytest.approx(sum(curves) / 3 if curves else ())
        rewarded = [e.accuracy if e.status == "ok" else 0.0 for e in each]
        assert average.accuracy == pytest.approx(np.mean(rewarded))
        assert average.train_seconds == seconds
        assert average.test_accuracy is None
        assert average.status == ("ok" if any(e.status == "ok" for e in each) else "diverged")


def test_the_optimum_is_better_than_all_others(table, file):
    evaluator = TableEvaluator(table=file)
    tests = [np.mean([max(c, 0) / TESTS for c in column]) for column in table.correct_test.T]
    best = evaluator.optimum("test")
    assert best.test == pytest.approx(max(tests))
    assert evaluator.regret(best.architecture) == 0
    for rank, test in enumerate(tests):
        assert evaluator.regret(SPACE.unrank(rank)) == pytest.approx(max(tests) - test)
    by_validation = evaluator.optimum("validation")
    assert by_validation.validation == evaluator.mean_validation.max()
    with pytest.raises(InvalidInput, match="not 'luck'"):
        evaluator.optimum("luck")


def test_the_environments_seed_draws_the_repeat(file):
    def rewards(seed, **kwargs):
        env = CNNArchEnv(evaluator=EVALUATOR, table=str(file), **kwargs)
        assert env.search_space == SPACE
        env.reset(seed=seed)
        found = []
        for _ in range(60):
            env.reset()
            found.append(env.step(len(SPACE.actions) - 1)[1])
        return found

    assert rewards(1) == rewards(1)
    assert rewards(1) != rewards(2)
    counts = np.unique(rewards(1), return_counts=True)[1]
    assert len(counts) == 3
    assert min(counts) > 8
    assert len(set(rewards(1, repeat="mean"))) == 1


def test_unfinished_seeds_are_left_out(tmp_path):
    make_table(complete=False).save(tmp_path / "table.npz")
    evaluator = TableEvaluator(table=tmp_path / "table.npz")
    assert evaluator.repeats == 2
    missing = int(np.flatnonzero(evaluator.table.status[2] == MISSING)[0])
    with pytest.raises(InvalidInput, match="not trained with seed 2 yet"):
        evaluator.table.evaluation(missing, 2)
    with pytest.raises(InvalidInput, match="repeat is one of 'sample', 'mean', 0, 1, not 2"):
        TableEvaluator(table=tmp_path / "table.npz", repeat=2)
    make_table(seeds=1, complete=False).save(tmp_path / "table.npz")
    with pytest.raises(InvalidInput, match="not finished"):
        TableEvaluator(table=tmp_path / "table.npz")


def test_what_a_table_cannot_do_is_refused(file):
    with pytest.raises(InvalidInput, match="leave out dataset='mnist'"):
        CNNArchEnv(evaluator=EVALUATOR, table=str(file), dataset="mnist")
    with pytest.raises(InvalidInput, match="another search space"):
        CNNArchEnv(evaluator=EVALUATOR, table=str(file), search_space="metaqnn")
    with pytest.raises(InvalidInput, match="no table"):
        CNNArchEnv(evaluator=EVALUATOR, table="imagenet")
    foreign = Architecture.parse("[C(512,5,1), SM(10)]")
    with pytest.raises(InvalidInput, match=r"Layer 1, C\(512,5,1\)"):
        TableEvaluator(table=file).evaluate(foreign)


def test_ranks_number_the_architectures():
    networks = [SPACE.unrank(rank) for rank in range(SPACE.count())]
    assert len(set(networks)) == len(networks)
    assert [SPACE.rank(network) for network in networks] == list(range(SPACE.count()))
    actions = [[SPACE.actions.index(layer) for layer in network.layers] for network in networks]
    assert actions == sorted(actions)
    for rank in (-1, SPACE.count()):
        with pytest.raises(IndexError):
            SPACE.unrank(rank)
