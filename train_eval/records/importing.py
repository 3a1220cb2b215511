"""Published results as runs: replay databases and learning curves of others."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gym_cnnarch import Architecture, Evaluation, InvalidInput, SearchSpace
from gym_cnnarch.space.shapes import count_macs, count_parameters
from train_eval.records.kept import EpisodeRecord
from train_eval.records.published import Row, read_published
from train_eval.records.run_directory import open_run
from train_eval.records.run_settings import RunSettings
from train_eval.records.store import Store

IMPORTED = "imported"
"""The agent's name in the settings of an imported run."""


@dataclass(frozen=True)
class Imported:
    """A run that was made of a file.

    Attributes:
        run: The run's name in the store.
        store: The store.
        rows: Number of rows.
        unique: Number of unique networks.
        skipped: Reason -> number of rows that are not results.
    """

    run: str
    store: Store
    rows: int
    unique: int
    skipped: dict[str, int]


def import_results(
    path: Path, env_id: str, space: SearchSpace, run_dir: Path, store: Path | None = None
) -> Imported:
    """Makes a run of a replay database or of a file of learning curves.

    Each row becomes an episode; a network that comes again keeps its first result. Rows are left
    out, and counted, whose accuracy is not one or whose network is not of the environment's space.

    Args:
        path: A CSV file in one of the two published formats, see ``read_published``.
        env_id: Id of the environment whose space the networks are of.
        space: That space.
        run_dir: Folder of the run.
        store: A store to share with other runs; None for one in the folder.

    Raises:
        InvalidInput: If the file cannot be read, is of neither format or holds no result.
    """
    published = read_published(path)
    skipped: Counter[str] = Counter()
    results: list[tuple[Row, Architecture]] = []
    for row in published.rows:
        reason, architecture = _judge(row, space)
        if architecture is None:
            skipped[reason] += 1
        else:
            results.append((row, architecture))
    if not results:
        raise InvalidInput(f"{path} holds no result for {env_id}: {_counts(skipped)}.")
    digest = published.sha256
    settings = RunSettings(
        env=env_id,
        search_space=space.as_spec(),
        observe_size="bin",
        task=f"{IMPORTED}-{digest[:16]}",
        recipe=None,
        reward="accuracy",
        failure_reward=0.0,
        evaluation_seed=0,
        agent={"name": IMPORTED, "file": path.name, "sha256": digest, "skipped": dict(skipped)},
        seed=0,
        budget=len({architecture for _, architecture in results}),
        lookahead=1,
    )
    opened = open_run(run_dir, settings, store)
    _record(opened, settings, results, space)
    return Imported(settings.run, opened, len(published.rows), settings.budget, dict(skipped))


def _record(
    store: Store,
    settings: RunSettings,
    results: list[tuple[Row, Architecture]],
    space: SearchSpace,
) -> None:
    actions = {layer: action for action, layer in enumerate(space.actions)}
    accuracies: dict[Architecture, float] = {}
    episodes = []
    with store.transaction():
        for number, (row, architecture) in enumerate(results):
            new = architecture not in accuracies
            if new:
                accuracies[architecture] = row.accuracy
                evaluation = Evaluation(
                    accuracy=row.accuracy,
                    status="ok",
                    parameters=count_parameters(architecture, space.input_shape),
                    macs=count_macs(architecture, space.input_shape),
                    curve=row.curve,
                    learning_rate=row.learning_rate,
                )
                store.add(settings.task, architecture, settings.evaluation_seed, evaluation)
            episodes.append(
                EpisodeRecord(
                    number,
                    tuple(actions[layer] for layer in architecture.layers),
                    row.epsilon,
                    str(architecture),
                    accuracies[architecture],
                    new,
                )
            )
        store.add_episodes(settings.run, episodes)
        store.finish_run(settings.run)


def _judge(row: Row, space: SearchSpace) -> tuple[str, Architecture | None]:
    """The network of a row that is a result, or why it is none."""
    if not 0 <= row.accuracy <= 1:  # NaN too
        return "the accuracy is not in [0, 1]", None
    if not all(0 <= accuracy <= 1 for accuracy in row.curve):
        return "the learning curve is not in [0, 1]", None
    if row.learning_rate is not None and not 0 <= row.learning_rate < math.inf:
        return "the learning rate is no rate", None
    try:
        architecture = Architecture.parse(row.text)
    except InvalidInput:
        return "the network cannot be read", None
    try:
        space.validate(architecture)
    except InvalidInput:
        return "the network is not of the space", None
    return "", architecture


def _counts(skipped: Counter[str]) -> str:
    return "; ".join(f"{number} rows: {reason}" for reason, number in skipped.items()) or "no rows"
