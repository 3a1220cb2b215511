"""A search's scalars for TensorBoard."""

import shutil
from collections.abc import Generator, Iterable
from pathlib import Path

from gym_cnnarch import InvalidInput
from train_eval.search.progress import SearchProgress
from train_eval.search.search import Learned


def log_to_tensorboard(
    episodes: Iterable[Learned], folder: Path, progress: SearchProgress
) -> Generator[Learned]:
    """Writes a point for each unique network while the episodes pass through.

    Names are Stable-Baselines3's where it has them; the step is the number of unique networks. A
    continued run is written anew from its beginning, so that no point stands twice.

    Raises:
        InvalidInput: If TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InvalidInput(
            "Logging for TensorBoard needs it: pip install 'gym-cnnarch[tensorboard]'."
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    with SummaryWriter(str(folder)) as writer:
        for learned in episodes:
            if learned.record.new:
                step = progress.unique
                if not isinstance(learned.record.reward, tuple):
                    writer.add_scalar("rollout/ep_rew_mean", learned.record.reward, step)
                predicted = learned.evaluation.predicted
                if predicted is None:
                    writer.add_scalar("search/accuracy", learned.evaluation.accuracy, step)
                else:  # stopped early
                    writer.add_scalar("search/predicted", predicted, step)
                if learned.evaluation.curve:
                    writer.add_scalar("search/epochs", len(learned.evaluation.curve), step)
                writer.add_scalar("search/parameters", learned.evaluation.parameters, step)
                writer.add_scalar("time/utilisation", progress.utilisation, step)
                if progress.best is not None:
                    writer.add_scalar("search/best", progress.best.evaluation.accuracy, step)
                if learned.record.epsilon is not None:
                    writer.add_scalar("rollout/exploration_rate", learned.record.epsilon, step)
            yield learned
