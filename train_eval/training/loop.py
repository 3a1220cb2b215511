"""One network, one recipe -> one evaluation."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from gym_cnnarch import Architecture, Evaluation, InvalidInput, shapes
from gym_cnnarch.rewards.evaluation import Status
from train_eval.training import restarts
from train_eval.training.augmentation import augment
from train_eval.training.batches import Images, TrainingData, shuffled_batches
from train_eval.training.device import (
    Precision,
    Stopwatch,
    check_device,
    is_out_of_memory,
    one_thread,
    seeded,
    warm_up,
)
from train_eval.training.metrics import score
from train_eval.training.network import build_network
from train_eval.training.optimizers import WeightAverage, make_optimizer, set_learning_rate
from train_eval.training.recipe import Recipe
from train_eval.training.restarts import Failure, Losses
from train_eval.training.stopping import Decision

EpochCallback = Callable[[int, float, float], None]
"""Told the number of finished epochs, the validation accuracy after the last and its mean loss."""


class TimeLimitExceeded(Exception):
    """The recipe's time limit has passed."""


def train(
    architecture: Architecture,
    data: TrainingData,
    recipe: Recipe,
    seed: int = 0,
    on_epoch: EpochCallback | None = None,
    decision: Decision | None = None,
) -> Evaluation:
    """Trains one network (paper, section 5, with the recipe's settings) and says how well it does.

    A decision is asked after each epoch that has not failed; until it ends the training, nothing
    differs from one without.

    Running out of memory or time, a loss that is not finite, and errors of torch are results, not
    exceptions. The process's random state and thread count are left as they were. On the CPU equal
    seeds give equal results; on a GPU nearly so, since some of CUDA's kernels add in any order.

    Raises:
        ProcessUnusable: If the GPU answers this process no more.
    """
    attempt = _Attempt(data, recipe, on_epoch, decision)
    status: Status = "ok"
    message = ""
    try:
        with (
            seeded(f"{seed}:{architecture}", data.device),
            one_thread(),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        ):
            status, message = attempt.run(architecture)
    except TimeLimitExceeded:
        status, message = "timeout", f"not finished after {recipe.time_limit:g} seconds"
    except InvalidInput:
        raise
    except (MemoryError, RuntimeError, ValueError) as error:
        status = "out_of_memory" if is_out_of_memory(error) else "error"
        message = str(error) or status.replace("_", " ")
    if data.device.type == "cuda":
        check_device(data.device)
    predicted = None
    if status == "stopped" and decision is not None:
        predicted = decision.predicted(attempt.curve, attempt.learning_rate or 0.0)
    return Evaluation(
        accuracy=max(attempt.curve, default=0.0),
        status=status,
        parameters=shapes.count_parameters(architecture, data.input_shape),
        macs=shapes.count_macs(architecture, data.input_shape),
        curve=tuple(attempt.curve),
        train_seconds=attempt.seconds,
        learning_rate=attempt.learning_rate,
        message=message.partition("\n")[0],
        test_accuracy=attempt.test_accuracy,
        predicted=predicted,
    )


class _Attempt:
    """The training of one network, with what is known of it so far."""

    def __init__(
        self,
        data: TrainingData,
        recipe: Recipe,
        on_epoch: EpochCallback | None,
        decision: Decision | None,
    ) -> None:
        self.data = data
        self.recipe = recipe
        self.on_epoch = on_epoch
        self.decision = decision
        self.curve: list[float] = []
        self.learning_rate: float | None = None
        self.test_accuracy: float | None = None
        self._limit = math.inf if recipe.time_limit is None else recipe.time_limit
        self._stopwatch = Stopwatch(data.device)

    @property
    def seconds(self) -> float:
        """Of training so far, see ``Stopwatch``."""
        return self._stopwatch.seconds()

    def run(self, architecture: Architecture) -> tuple[Status, str]:
        """Restarts with smaller learning rates while a try fails by the recipe's rule."""
        warm_up(self.data.device)
        self._stopwatch = Stopwatch(self.data.device)
        failures: list[Failure] = []
        rate = self.recipe.learning_rate
        for restart in range(self.recipe.max_restarts + 1):
            rate = self.learning_rate = (
                self.recipe.learning_rate * self.recipe.restart_factor**restart
            )
            self.curve = []
            outcome = self._try(architecture, rate)
            if not isinstance(outcome, Failure):
                return outcome, ""
            if not outcome.restarts:
                return "diverged", outcome.reason
            failures.append(outcome)
        return "diverged", restarts.describe(failures, rate)

    def _try(self, architecture: Architecture, learning_rate: float) -> Status | Failure:
        """Trains anew, until the recipe's last epoch, an epoch that fails, or the decision."""
        data, recipe = self.data, self.recipe
        network = build_network(
            architecture, data.input_shape, data.num_classes, recipe.dropout, recipe.batch_norm
        )
        network = network.to(data.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        for losses in self._epochs(network, learning_rate):
            failure = restarts.failure(recipe, losses, self.curve, data.chance)
            if failure is not None:
                return failure
            if self.decision is not None and self.decision.stops(self.curve, learning_rate):
                return "stopped"
        return "ok"

    def _epochs(self, network: nn.Sequential, learning_rate: float) -> Iterator[Losses]:
        """Trains epoch by epoch, extends the curve, and yields the losses so far."""
        device, recipe = self.data.device, self.recipe
        optimizer = make_optimizer(
            recipe.optimizer, network.parameters(), learning_rate, recipe.weight_decay
        )
        average = WeightAverage(network, recipe.averaging) if recipe.averaging else None
        judged = network if average is None else average.network
        weights = self.data.class_weights() if recipe.class_weights else None
        precision = Precision(device, recipe.precision)
        losses = Losses()
        epochs = recipe.epochs_of(len(self.data.train))
        for epoch in range(epochs):
            network.train()
            batches = shuffled_batches(
                len(self.data.train), recipe.batch_size, recipe.batch_norm, device
            )
            for number, positions in enumerate(batches):
                self._check_time()
                progress = number / len(batches)
                set_learning_rate(optimizer, learning_rate * recipe.rate(epoch, progress, epochs))
                images = self.data.inputs(self.data.train, positions)
                with precision.autocast():
                    logits = network(self._augmented(images))
                labels = self.data.train.labels[positions]
                loss = nn.functional.cross_entropy(
                    logits.float(), labels, weights, label_smoothing=recipe.label_smoothing
                )
                optimizer.zero_grad()
                precision.step(loss, optimizer)
                if average is not None:
                    average.follow(network)
                losses.add(loss.detach())
            self.curve.append(self._accuracy(judged, self.data.validation, precision))
            if self.on_epoch is not None:
                self.on_epoch(len(self.curve), self.curve[-1], losses.epoch_mean(len(batches)))
            yield losses
        if self.data.test is not None:
            self.test_accuracy = self._accuracy(judged, self.data.test, precision)

    def _augmented(self, images: Tensor) -> Tensor:
        """(B, channels, n, n) of the same, changed at random as the recipe says."""
        recipe = self.recipe
        changed = augment(images, bool(recipe.mirror), recipe.translation or 0, recipe.colour)
        return changed.contiguous(memory_format=torch.channels_last)

    @torch.no_grad()
    def _accuracy(self, network: nn.Module, images: Images, precision: "Precision") -> float:
        """The recipe's metric, in [0, 1]."""
        network.eval()
        hits = []  # (B,) bool
        for positions in torch.arange(len(images), device=self.data.device).split(
            self.recipe.batch_size
        ):
            self._check_time()
            with precision.autocast():
                logits = network(self.data.inputs(images, positions))
            hits.append(logits.argmax(1) == images.labels[positions])
        return score(self.recipe.metric, torch.cat(hits), images.labels)

    def _check_time(self) -> None:
        if self.seconds > self._limit:
            raise TimeLimitExceeded
