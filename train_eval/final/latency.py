"""How long a run's networks take on this machine: what is recorded, or measured now."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from gym_cnnarch import Architecture, InvalidInput
from train_eval.records.latency import Latencies, record_latencies, recorded_latencies
from train_eval.records.run_directory import in_use
from train_eval.records.run_rows import NetworkRow
from train_eval.records.summary import Summary
from train_eval.training.device import find_device
from train_eval.training.latency import conditions_of, measure

LOCK = "latency.lock"


def measure_latencies(
    summary: Summary, networks: Iterable[str], device: str | None = None, batch: int = 1
) -> Latencies:
    """Measures networks of a run, unless they are known, and records them in the run's folder.

    Args:
        summary: The run.
        networks: Canonical texts.
        device: Such as ``cpu``; None for CUDA where there is one, else the CPU.
        batch: Images of a forward pass.

    Returns:
        All that is known of the run's networks on this machine.

    Raises:
        InvalidInput: If the device or the batch cannot be used, or another process measures.
    """
    if batch < 1:
        raise InvalidInput(f"Latencies are of batches of 1 image or more, not of {batch}.")
    run_dir, found = Path(summary.run_dir), find_device(device)
    conditions = conditions_of(found, batch)
    with in_use(run_dir / LOCK):
        known = recorded_latencies(run_dir, conditions).milliseconds
        new = [text for text in dict.fromkeys(networks) if text not in known]
        parsed = [Architecture.parse(text) for text in new]
        shape, passes = summary.settings.space.input_shape, conditions.passes
        measured = measure(parsed, shape, found, batch, passes)
        return record_latencies(
            run_dir, Latencies(conditions, dict(zip(new, measured, strict=True)))
        )


def within(
    limit: float, summary: Summary, at_once: int, device: str | None = None, batch: int = 1
) -> Iterator[NetworkRow]:
    """A run's networks that take at most ``limit`` milliseconds, the best first.

    As many are measured together as ``at_once``, and no more than are asked for.

    Raises:
        InvalidInput: If there is none, or they cannot be measured.
    """
    left, fastest = iter(summary.best), float("inf")
    while some := list(islice(left, at_once)):
        latencies = measure_latencies(summary, (row.architecture for row in some), device, batch)
        taken = [latencies.milliseconds[row.architecture] for row in some]
        fastest = min(fastest, *taken)
        yield from (row for row, ms in zip(some, taken, strict=True) if ms <= limit)
    if summary.best and fastest > limit:
        raise InvalidInput(
            f"No network of the run takes at most {limit:g} ms ({latencies.conditions}): the "
            f"fastest takes {fastest:.3g} ms."
        )


def check_within(
    limit: float, summary: Summary, networks: Sequence[Architecture], device: str | None, batch: int
) -> None:
    """Refuses networks that take longer.

    Raises:
        InvalidInput: If there is one, or they cannot be measured.
    """
    texts = [str(network) for network in networks]
    latencies = measure_latencies(summary, texts, device, batch)
    for text in texts:
        if latencies.milliseconds[text] > limit:
            raise InvalidInput(
                f"{text} takes {latencies.milliseconds[text]:.3g} ms ({latencies.conditions}), but "
                f"at most {limit:g} are allowed: leave it out, or allow more."
            )
