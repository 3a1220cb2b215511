"""``fit``: from images of one's own to trained networks, in a given time."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from gym_cnnarch import InvalidInput
from train_eval.environments import full_id, make_env, needs_training
from train_eval.final.finalize import SILENT, Watch, finalize
from train_eval.final.recipe import FinalRecipe
from train_eval.output.console import duration
from train_eval.parallel.executors import worker_environments
from train_eval.records.fit_plan import FitPlan
from train_eval.records.plain import as_read_back
from train_eval.records.run_directory import (
    LOCK,
    RUN_FILE,
    check_folder,
    in_use,
    recorded_settings,
)
from train_eval.run.first import (
    ENV,
    PassTime,
    absolute_name,
    first_network,
    search_recipe,
    what_was_read,
)
from train_eval.run.run import Run
from train_eval.run.search import Follow, run_search
from train_eval.search.same_images import check_images, images_of
from train_eval.search.search import Learned, Search
from train_eval.search.settings import check_hours
from train_eval.search.usual import USUAL
from train_eval.training.device import find_device

FINAL_RECIPE = "own-final"
AGENT = "local_search"
SPACE: dict[str, Any] = {
    "max_layers": 9,
    "conv_filters": [16, 32, 64],
    "pools": [[3, 2], [2, 2]],
    "fc_neurons": [64],
}
"""Small enough that a few dozen networks say something of it; the preset ``metaqnn`` otherwise."""

GPU_SPACE: dict[str, Any] = {**SPACE, "max_layers": 10, "conv_filters": [64, 128, 256]}
"""The same on a GPU, where wide networks take hardly longer."""

_GPU_FINAL: dict[str, Any] = {"batch_size": 128, "steps": [[0.02, 20]]}
"""Of the final recipe on a GPU: small batches are bound by launches."""

SEARCH_SHARE = 0.25
"""Of the time; the rest is for the final training."""

_LEAST_FINAL_SHARE = 0.25  # whatever the search took
_TOO_FEW_PASSES = 4  # of the first network: there is no time to look for another
_LEAST_PASSES = 10  # of a final training over its images, by networks dearer than the first
_DEARER = 1.25  # than the first network, which is always allowed
_PASSES_A_PIXEL = 4  # images are moved by one more for so many: fewer are not learned by heart
_MOST_NETWORKS = 10_000

FollowInTime = Callable[[Search, Callable[[], float]], Iterable[Learned]]


def fit(
    dataset: str,
    *,
    hours: float,
    run_dir: str | Path,
    recipe: Mapping[str, Any] | None = None,
    search_space: Mapping[str, Any] | None = None,
    data_root: str | Path | None = None,
    device: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    executor: Literal["inline", "local"] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
    follow: FollowInTime = lambda search, seconds_left: search,
    watch: Watch = SILENT,
    clock: Callable[[], float] = time.monotonic,
) -> Run:
    """Searches for a good network and trains it to the end, in a given time.

    What ``cnnarch fit`` does: a quarter of the time is a local search (White et al. 2021) that
    begins with designs that people write; the rest trains the best network to its end, or as many
    networks as there are workers, each for all of that time. How much a network may cost follows
    from the time that the first one takes and, on a GPU, from that of a large one. The same call
    goes on where it was stopped.

    Args:
        dataset: A folder of images, an ``.npz`` file, or any other data set, see ``load_dataset``.
        hours: Time for all of it, but for reading the images. What is begun is finished, so that it
            may take a little longer. On a CPU, that of the final training is of the process.
        run_dir: Folder of the run; the networks are in ``final`` below it.
        recipe: Settings of the search's recipe, ``own-quick`` unless a preset is named. Without an
            ``image_size``, images are as they are if they are squares of one size of at most 64
            pixels, else cropped and resized to 32.
        search_space: Limits of the space, such as ``max_parameters``, in place of those of
            ``SPACE`` (on a GPU ``GPU_SPACE``); of a preset if one is named.
        data_root: Folder of torchvision's files.
        device: Where to train; None for CUDA where there is one, else the CPU.
        seed: Of the search and of the final training.
        workers: Networks to train at a time; None for one per GPU, or per core without GPUs.
        executor: ``inline`` searches in this process, one network at a time.
        tell: Told in a sentence what was read and what was decided.
        follow: Called with the search and what tells the seconds that it has left; yields its
            episodes while it shows them.
        watch: Told how the final training goes.
        clock: Tells the time in seconds.

    Raises:
        InvalidInput: If an argument cannot be used, the folder holds another run, or no network
            could be trained.
    """
    check_hours(hours)
    if seed < 0:
        raise InvalidInput(f"seed must be at least 0, but is {seed}.")
    run_dir = Path(run_dir)
    check_folder(run_dir)
    dataset = absolute_name(dataset)
    together = len(worker_environments(workers, device)) if executor != "inline" else 1
    places = {
        "dataset": dataset,
        "data_root": None if data_root is None else str(data_root),
        "device": device,
    }
    where: dict[str, Any] = {name: value for name, value in places.items() if value is not None}
    given = as_read_back({
        **places, "hours": hours, "recipe": dict(recipe or {}),
        "search_space": dict(search_space or {}), "seed": seed, "workers": workers,
    })  # fmt: skip
    plan = FitPlan.load(run_dir)
    if plan is not None:
        _check_same(run_dir, plan, given)
    settings = search_recipe(dataset, data_root, recipe or {})
    times = _Time(3600 * hours, clock, _spent_before(run_dir, together))
    asked = dict(search_space or {})
    on_gpu = find_device(device).type == "cuda"
    space = asked if "preset" in asked else {**(GPU_SPACE if on_gpu else SPACE), **asked}
    env = make_env(ENV, **where, recipe=settings, search_space=space)
    for sentence in what_was_read(env):
        tell(sentence)
    if (known := recorded_settings(run_dir)) is not None:
        if (known.env, known.agent["name"]) != (full_id(ENV), AGENT):
            raise InvalidInput(f"{run_dir} belongs to another search: name another folder.")
        check_images(run_dir, images_of(needs_training(env, ENV)))
    if plan is None or plan.recipe is None:
        run_dir.mkdir(parents=True, exist_ok=True)
        with in_use(run_dir / LOCK):
            first = first_network(env, run_dir, seed, also_large=on_gpu, tell=tell)
        final = {
            "preset": FINAL_RECIPE, "class_weights": first.class_weights,
            "validation_size": first.held_out, **(_GPU_FINAL if on_gpu else {}),
        }  # fmt: skip
        larger = FinalRecipe.from_spec(final).batch_size / first.batch_size
        time_of = first.pass_time.in_batches(larger)  # in the final training
        one_pass = time_of.seconds(first.evaluation.macs)
        space["max_macs"] = _most_macs(first.evaluation.macs, time_of, times.all, space)
        few = (1 - SEARCH_SHARE) * times.all / one_pass < _TOO_FEW_PASSES
        tell(
            f"A pass of {first.architecture} over all of them takes {one_pass:.2g} s. "
            + (
                "There is time for a few of them alone: no other network is tried."
                if few
                else f"Networks of at most {space['max_macs'] / first.evaluation.macs:.3g} times "
                f"its {first.evaluation.macs:,} MACs are tried."
            )
        )
        run = run_search(
            ENV, AGENT, _MOST_NETWORKS, run_dir=run_dir, seed=seed,
            agent_settings={"networks": [USUAL]} if first.usual else {},
            lookahead=_lookahead(run_dir, 1 if few else together),
            executor=executor or "local", workers=None if executor == "inline" else together,
            follow=_until(
                times, 0.0 if few else SEARCH_SHARE, follow, lambda: FitPlan(given).save(run_dir)
            ),
            recipe=settings, search_space=space, **where,
        )  # fmt: skip
        if not run.best():
            raise InvalidInput(f"No network could be trained: cnnarch show {run_dir} says why.")
        final["seconds"] = max(times.all - times.spent(), _LEAST_FINAL_SHARE * times.all)
        passes = final["seconds"] / time_of.seconds(run.best()[0].macs)
        final["translation"] = min(first.side // 8, int(passes / _PASSES_A_PIXEL))
        networks = min(together, len(run.summary.best))
        plan = FitPlan(given, final, networks)
        plan.save(run_dir)
        tell(
            f"Tried {len(run.networks)} networks in {duration(times.spent())}; the final training "
            f"has {duration(final['seconds'])}, about {passes:,.0f} passes."
        )
    run = Run(run_dir)
    if together < plan.networks:
        turns = math.ceil(plan.networks / together)
        tell(
            f"{plan.networks} networks are to be trained, as many as there were workers, and now "
            f"{together} at a time: that takes up to {turns} times as long."
        )
    finalize(
        run.summary, FinalRecipe.from_spec(plan.recipe or {}), plan.networks, seed=seed,
        workers=workers, watch=watch, **where,
    )  # fmt: skip
    return run


class _Time:
    """How much of the time is over.

    Args:
        seconds: In all.
        clock: Tells the time.
        before: Seconds that earlier calls took.
    """

    def __init__(self, seconds: float, clock: Callable[[], float], before: float) -> None:
        self.all, self._clock, self._before = seconds, clock, before
        self._started = clock()

    def spent(self) -> float:
        """Seconds."""
        return self._before + self._clock() - self._started


def _most_macs(first: int, time_of: PassTime, seconds: float, space: Mapping[str, Any]) -> int:
    """Of a network whose final training still has enough passes in a time; at most as asked."""
    affordable = time_of.dearest((1 - SEARCH_SHARE) * seconds / _LEAST_PASSES)
    most = max(int(_DEARER * first), affordable)
    return most if space.get("max_macs") is None else min(most, space["max_macs"])


def _lookahead(run_dir: Path, together: int) -> int | None:
    """Of the search: that of a run that goes on, else little, since there are few networks."""
    if (run_dir / RUN_FILE).is_file():
        return None
    return 1 if together == 1 else 2 * together


def _until(times: _Time, share: float, follow: FollowInTime, begin: Callable[[], None]) -> Follow:
    """Follows a search until a share of the time is over."""

    def seconds_left() -> float:
        return share * times.all - times.spent()

    def followed(search: Search) -> Iterator[Learned]:
        begin()  # the folder is the run's by now
        for learned in follow(search, seconds_left):
            yield learned
            if seconds_left() <= 0:
                search.wind_up()

    return followed


def _spent_before(run_dir: Path, together: int) -> float:
    """Seconds of training of earlier calls, by what they left behind."""
    if not (run_dir / RUN_FILE).is_file():
        return 0.0
    return Run(run_dir).summary.train_seconds / together


def _check_same(run_dir: Path, plan: FitPlan, now: Mapping[str, Any]) -> None:
    """Refuses another fit than the one that began.

    Raises:
        InvalidInput: If one of the settings that decided it differs.
    """
    changes = [
        f"{name} was {plan.given.get(name)} and is {now[name]}"
        for name in ("hours", "recipe", "search_space", "seed")
        if plan.given.get(name) != now[name]
    ]
    if changes:
        state = "began" if plan.recipe is None else "is over"
        raise InvalidInput(
            f"The search of {run_dir} {state}, with other settings ({'; '.join(changes)}): name "
            f"another folder."
        )
