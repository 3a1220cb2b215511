"""Comparing agents: all pairs of agent and seed, in parallel, each kept when it is finished."""

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import BrokenExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loky import ProcessPoolExecutor

from gym_cnnarch import InvalidInput
from gym_cnnarch.files import replace_json, unfinished_name
from train_eval.benchmark.run import AgentRun, write_outcome
from train_eval.environments import PLACES
from train_eval.output.tracebacks import show_traceback
from train_eval.parallel.worker import WorkersUnavailable, begin_worker
from train_eval.records.machine import installed_versions, versions
from train_eval.records.run_directory import LOCK, STORE

BENCHMARK_FILE = "benchmark.json"

REPEATS = 10
"""By default an agent has this many times as many episodes as networks."""

_LONGEST = 100  # characters of a folder's name


@dataclass(frozen=True)
class Pair:
    """One agent with one seed, and what became of it.

    Attributes:
        label: What the benchmark calls the agent.
        seed: The seed.
        error: Why there is no result; empty if there is one.
    """

    label: str
    seed: int
    error: str = ""


@dataclass(frozen=True)
class Benchmark:
    """All that the results depend on.

    Attributes:
        env: Id of the environment.
        kwargs: Its keyword arguments, beside the registered ones.
        task: The evaluator's task: data and recipe, or the table.
        agents: Label -> name and settings.
        seeds: Number of seeds; an agent may have its own.
        budget: Number of unique networks.
        max_episodes: Number of episodes of one run at most.
        trains: Whether networks are trained: what one run trained, all others of the folder know.
        first_seed: The first of the seeds; the others follow it.
    """

    env: str
    kwargs: Mapping[str, Any]
    task: str
    agents: Mapping[str, Mapping[str, Any]]
    seeds: Mapping[str, int]
    budget: int
    max_episodes: int
    trains: bool = False
    first_seed: int = 0

    def __post_init__(self) -> None:
        by_folder: dict[str, str] = {}
        for label in self.agents:
            other = by_folder.setdefault(_folder_of(label).casefold(), label)
            if other != label:
                raise InvalidInput(
                    f"The labels {other!r} and {label!r} would share the folder of their runs: "
                    f"name one of them otherwise."
                )

    @classmethod
    def load(cls, folder: Path) -> "Benchmark":
        """The benchmark that a folder holds.

        Raises:
            InvalidInput: If it holds none.
        """
        described = _read_description(folder / BENCHMARK_FILE)
        return cls(**{field.name: described[field.name] for field in dataclasses.fields(cls)})

    def pairs(self) -> Iterator[Pair]:
        """All pairs, seed by seed."""
        for number in range(max(self.seeds.values())):
            seed = self.first_seed + number
            yield from (Pair(label, seed) for label in self.agents if number < self.seeds[label])

    def run(self, pair: Pair, folder: Path) -> AgentRun:
        """The run of a pair."""
        kwargs = dict(self.kwargs)
        if self.trains:
            kwargs["store"] = str((folder / STORE).resolve())
        agent = self.agents[pair.label]
        return AgentRun(self.env, kwargs, agent, pair.seed, self.budget, self.max_episodes)

    def execute(self, folder: Path, workers: int) -> Iterator[Pair]:
        """Runs what the folder lacks, and yields each pair when it is finished or has failed.

        ``describe`` comes first, and both while the folder's lock is held.

        Raises:
            WorkersUnavailable: If a worker process died.
        """
        todo = self.missing(folder)
        environment = {
            "OMP_NUM_THREADS": "1",  # policies of a few thousand weights: more threads only wait
            "MKL_NUM_THREADS": "1",
            "LOKY_MAX_MEMORY_LEAK_SIZE": "1e15",  # an agent that loads torch late has not leaked
        }
        pool = ProcessPoolExecutor(
            workers, env=environment, initializer=begin_worker, initargs=(os.getpid(),)
        )
        try:
            futures = [
                pool.submit(_execute, pair, self.run(pair, folder), result_file(folder, pair))
                for pair in todo
            ]
            for future in as_completed(futures):
                yield future.result()
        except BrokenExecutor as error:
            raise WorkersUnavailable(
                "A worker process died (killed, or out of memory): run the same command again to "
                "go on, with fewer --workers if memory was short."
            ) from error
        finally:
            pool.shutdown(wait=True, kill_workers=True)

    def missing(self, folder: Path) -> list[Pair]:
        """The pairs without a result."""
        return [pair for pair in self.pairs() if not result_file(folder, pair).is_file()]

    def describe(self, folder: Path) -> "Benchmark":
        """Records what is run; more agents or seeds may be added to a folder later.

        Returns:
            The benchmark with all agents and seeds that the folder was ever asked for.

        Raises:
            InvalidInput: As ``check``.
        """
        merged = self.check(folder)
        described = asdict(merged) | {"made_with": _made_with()}
        replace_json(folder / BENCHMARK_FILE, described)
        return merged

    def check(self, folder: Path) -> "Benchmark":
        """Returns the same as ``describe``, but writes nothing.

        Raises:
            InvalidInput: If the folder holds another benchmark, or something else.
        """
        path = folder / BENCHMARK_FILE
        ours = json.loads(json.dumps(asdict(self))) | {"made_with": _made_with()}
        if path.is_file():
            theirs = _read_description(path)
            seeds = theirs["seeds"]
            # Settings without a result bind nobody: they were a slip, or not run yet.
            agents = {label: s for label, s in theirs["agents"].items() if _has_run(folder, label)}
            changes = [n for n in _SHARED if _wherever(n, ours[n]) != _wherever(n, theirs[n])]
            was = theirs["made_with"]
            changes += [
                f"{name} was {was.get(name)} and is {now}"
                for name, now in ours["made_with"].items()
                if was.get(name, now) != now
            ]
            for label, settings in ours["agents"].items():
                if agents.setdefault(label, settings) != settings:
                    changes.append(label)
            if changes:
                raise InvalidInput(
                    f"{folder} holds another benchmark (what differs: {', '.join(changes)}): name "
                    f"another folder, or continue it with what it was begun with."
                )
            most = {n: max(seeds.get(n, 0), ours["seeds"].get(n, 0)) for n in agents}
            ours |= {"agents": agents, "seeds": most}
        elif folder.exists() and {entry.name for entry in folder.iterdir()} - _BEGUN:
            raise InvalidInput(f"{folder} holds something else: name a new or an empty folder.")
        return dataclasses.replace(self, agents=ours["agents"], seeds=ours["seeds"])


_SHARED = ("env", "kwargs", "task", "budget", "max_episodes", "trains", "first_seed")
_BEGUN = {LOCK, unfinished_name(BENCHMARK_FILE)}  # of a benchmark that was killed while it began


_AGENTS_OF_OTHERS = ("stable-baselines3", "sb3-contrib", "optuna")


def _made_with() -> dict[str, Any]:
    """Versions, of the installed libraries of agents too."""
    return versions() | installed_versions(_AGENTS_OF_OTHERS)


def _wherever(name: str, value: Any) -> Any:
    """Keyword arguments without the places of files, which may be moved."""
    if name != "kwargs":
        return value
    # The task says what is there.
    kept = {key: given for key, given in value.items() if key not in PLACES}
    if kept.get("dataset") is not None:
        kept["dataset"] = str(kept["dataset"]).partition(":")[0]  # of images of one's own
    return kept


def _read_description(path: Path) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads(path.read_text())
        if {*_SHARED, "agents", "seeds", "made_with"} <= described.keys():
            return described
    except (OSError, ValueError, AttributeError):
        pass
    raise InvalidInput(f"{path} does not describe a benchmark: restore it, or name another folder.")


def result_file(folder: Path, pair: Pair) -> Path:
    """The file of one pair's result."""
    return folder / "runs" / _folder_of(pair.label) / f"{pair.seed}.csv.gz"


def _has_run(folder: Path, label: str) -> bool:
    return any((folder / "runs" / _folder_of(label)).glob("*.csv.gz"))


def _folder_of(label: str) -> str:
    """The label as the name of a folder; one that is none gets a hash."""
    usual = label.replace(":", "-")
    name = re.sub(r"[^\w.-]", "-", usual, flags=re.ASCII)
    if name == usual and 0 < len(name) <= _LONGEST and name == name.strip("."):
        return name
    return f"{name.strip('.-')[:_LONGEST]}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def _execute(pair: Pair, run: AgentRun, path: Path) -> Pair:
    """In a worker process: an agent that fails is named, and the others go on."""
    try:
        write_outcome(path, run.execute())
    except InvalidInput as error:
        return Pair(pair.label, pair.seed, str(error))
    except Exception as error:  # the agent's own: it is named, its type too
        show_traceback(error)
        return Pair(pair.label, pair.seed, f"{type(error).__name__}: {error}".partition("\n")[0])
    return pair
