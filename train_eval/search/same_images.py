"""Whether a run's images are those with which it began."""

from pathlib import Path

from gym_cnnarch import InvalidInput
from train_eval.data.image_data import Reading, what_changed
from train_eval.records.run_directory import recorded_images
from train_eval.records.run_file import RunData
from train_eval.training.evaluator import TrainingEvaluator


def images_of(evaluator: TrainingEvaluator) -> RunData:
    """What is recorded of the images that a run trains on."""
    return RunData(
        evaluator.dataset,
        evaluator.data_root,
        tuple(evaluator.fingerprints),
        evaluator.reading.as_json(),
        len(evaluator.data.train),
        len(evaluator.data.validation),
    )


def check_images(
    run_dir: Path, now: RunData, advice: str = "Put them back, or name another run directory."
) -> None:
    """Says what became of a run's images since it began, and what to do.

    Raises:
        InvalidInput: If they are others now.
    """
    before = recorded_images(run_dir)
    if before.reading is None or now.reading is None or before.fingerprints == now.fingerprints:
        return
    if before.dataset != now.dataset:
        changes = f"they were those of {before.dataset}, and are those of {now.dataset}."
    else:
        changes = what_changed(Reading.from_json(before.reading), Reading.from_json(now.reading))
    raise InvalidInput(
        f"The images are not those with which the run in {run_dir} began: {changes} {advice}"
    )
