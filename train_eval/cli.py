"""The command ``cnnarch``: every subcommand is a dataclass, its fields the options."""

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.markup import escape

from agents import EpsilonSchedule
from gym_cnnarch import Architecture, InvalidInput
from gym_cnnarch.mdp import compile_mdp
from gym_cnnarch.registration import DATASET_INPUTS
from train_eval.executors import InlineExecutor
from train_eval.progress import SearchProgress
from train_eval.runs import (
    describe,
    find_run,
    find_spec,
    make_agent,
    make_env,
    metaqnn_settings,
    open_run,
)
from train_eval.search import MAX_REPEATS, Search
from train_eval.store import StoreError
from train_eval.summary import summarise, tables

_out = Console()
_err = Console(stderr=True)


@dataclass
class EnvOptions:
    """Options that choose the environment."""

    env: str = "CNNArch-Digits-v0"
    """Id of the environment. CNNArch-v0 is the one for your own data."""
    dataset: str | None = None
    """Data set: cifar10, cifar100, svhn, mnist, fashionmnist, digits, folder:PATH (with
    PATH/train/<class>/*.png or jpg) or npz:FILE (with x_train, y_train). Default: the
    environment's."""
    data_root: str | None = None
    """Folder that holds torchvision's files of the data set, or to which they are downloaded.
    Default: the user's cache."""
    recipe: tuple[str, ...] = ()
    """How a network is trained: a preset (paper, quick, digits) and settings, such as
    'quick epochs=5 image_size=32 time_limit=600'; see train_eval/recipe.py. Default: the
    environment's."""
    search_space: tuple[str, ...] = ()
    """Limits of the space: a preset (metaqnn, metaqnn-18, digits) and limits, such as
    'metaqnn max_layers=6 conv_filters=[16,32]'. Default: the environment's."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        registered = find_spec(self.env).kwargs
        changed: dict[str, Any] = {}
        if self.dataset is not None:
            changed["dataset"] = self.dataset
        for name, words in (("recipe", self.recipe), ("search_space", self.search_space)):
            if words:
                changed[name] = _specification(registered.get(name), words)
        return changed


@dataclass
class TrainingOptions(EnvOptions):
    """Options that choose the environment and where it trains."""

    device: str | None = None
    """Where to train: cpu, cuda, cuda:1, ... Default: CUDA where there is one, else the CPU."""

    def kwargs(self) -> dict[str, Any]:
        """The environment's keyword arguments that the options change."""
        return super().kwargs() | {"data_root": self.data_root, "device": self.device}


@dataclass
class SearchCommand(TrainingOptions):
    """Search for good networks; every trained network is kept. The same command continues it."""

    agent: Literal["metaqnn", "random_walk"] = "metaqnn"
    """The agent: tabular Q-learning with replay, or uniform over legal actions."""
    budget: int | None = None
    """Number of unique networks to train. Default: that of the schedule, the paper's 2,700."""
    seed: int = 0
    """Seed of the agent. The seed of the training is the environment's, so that several agents on
    one store share what was trained."""
    run_dir: Path = Path("runs/search")
    """Folder of the run."""
    store: Path | None = None
    """File of results to share with other runs. Default: store.sqlite in the run's folder."""
    alpha: float | None = None
    """Q-learning rate, in (0, 1]. Default: 27 / budget within [0.01, 0.1]; the paper's is 0.01."""
    replay: int = 100
    """Episodes that are replayed after each network (K in the paper)."""
    schedule: tuple[str, ...] = ()
    """Epsilon schedule as EPSILON:NETWORKS, such as '1.0:80 0.5:40 0.1:30', scaled to the budget if
    that is given. Default: the paper's."""
    lookahead: int = 1
    """Episodes that the agent may act ahead of what it has learned; 1 is the paper's algorithm."""

    def run(self) -> None:
        """Runs or continues the search, then shows what it found."""
        if self.budget is not None and self.budget < 1:
            raise InvalidInput(f"--budget must be at least 1, but is {self.budget}.")
        if self.lookahead < 1:
            raise InvalidInput(f"--lookahead must be at least 1, but is {self.lookahead}.")
        agent_settings, budget = self._agent()
        env = make_env(self.env, **self.kwargs())
        if env.evaluator is None:
            raise InvalidInput(f"{self.env} has no evaluator: a search needs one.")
        agent = make_agent(agent_settings, len(env.search_space.actions), self.seed)
        settings = describe(
            self.env, env, env.evaluator, agent_settings,
            seed=self.seed, budget=budget, lookahead=self.lookahead,
        )  # fmt: skip
        store, run = open_run(self.run_dir, settings, self.store)
        search = Search(
            env, env.evaluator, env.reward_function, agent, store, run, budget, InlineExecutor(),
            self.lookahead, env.evaluation_seed,
        )  # fmt: skip
        progress = SearchProgress(budget, _err)
        try:
            for _ in progress.follow(search):
                pass
        except KeyboardInterrupt:
            _err.print(
                f"Stopped after {progress.unique} of {budget} unique networks; all of them are in "
                f"{store.path}. To continue, run the same command again:\n"
                f"  {shlex.join(['cnnarch', *sys.argv[1:]])}",
                markup=False, soft_wrap=True,
            )  # fmt: skip
            sys.exit(130)
        if search.exhausted:
            _err.print(
                f"No new network in {MAX_REPEATS} episodes in a row: ended after {progress.unique}."
            )
        _out.print(tables(summarise(self.run_dir, store, run, settings.as_json())))
        _out.print(f"Run: {self.run_dir}   Results: {store.path}", markup=False, soft_wrap=True)
        _out.print(f"Again: cnnarch show {shlex.quote(str(self.run_dir))}", markup=False)

    def _agent(self) -> tuple[dict[str, Any], int]:
        """The agent's settings in full, and the budget."""
        if self.agent == "random_walk":
            _, budget = metaqnn_settings(self.budget)
            return {"name": "random_walk"}, budget
        schedule = _schedule(self.schedule) if self.schedule else None
        return metaqnn_settings(self.budget, self.alpha, self.replay, schedule)


@dataclass
class TrainCommand(TrainingOptions):
    """Train one network and show its curve, parameters, MACs and seconds."""

    architecture: tyro.conf.Positional[str] = tyro.MISSING
    """The network, such as "[C(16,3,1), P(2,2), FC(32), SM(10)]"."""
    seed: int = 0
    """Seed of the training."""

    def run(self) -> None:
        """Trains the network, printing the curve as it grows."""
        architecture = Architecture.parse(self.architecture)
        env = make_env(self.env, **self.kwargs())
        env.search_space.validate(architecture)
        evaluator = env.evaluator
        train = getattr(evaluator, "train", None)
        if train is None:
            raise InvalidInput(f"{self.env} does not train: choose an environment that does.")
        _out.print(f"{architecture} on {env.spec.kwargs['dataset']}", markup=False)  # type: ignore[union-attr]
        evaluation = train(
            architecture,
            self.seed,
            lambda epoch, accuracy: _out.print(f"epoch {epoch:3}   accuracy {accuracy:.2%}"),
        )
        _out.print(
            f"{evaluation.status}{': ' if evaluation.message else ''}{evaluation.message}",
            markup=False,
        )
        _out.print(f"best validation accuracy {evaluation.accuracy:.2%}")
        _out.print(f"parameters {evaluation.parameters:,}   MACs {evaluation.macs:,}")
        _out.print(
            f"initial learning rate {evaluation.learning_rate:g}   "
            f"seconds {evaluation.train_seconds:.1f}"
        )


@dataclass
class SpaceCommand(EnvOptions):
    """Show an environment's actions in order, its number of states and of architectures."""

    def run(self) -> None:
        """Prints the space; reads no data where the images are known."""
        kwargs = self.kwargs()
        dataset = kwargs.get("dataset", find_spec(self.env).kwargs.get("dataset"))
        if dataset is None or dataset in DATASET_INPUTS:
            kwargs["evaluator"] = None
        space = make_env(self.env, **kwargs).search_space
        for action, layer in enumerate(space.actions):
            _out.print(f"{action:3}  {layer}", highlight=False)
        mdp = compile_mdp(space)
        observed = len({row.tobytes() for row in mdp.observations})
        _out.print(f"input {'x'.join(map(str, space.input_shape))}, {space.num_classes} classes")
        _out.print(f"{len(mdp.states):,} states, {observed:,} as the agent observes them")
        _out.print(f"{space.count():,} architectures")


@dataclass
class ShowCommand:
    """Show a run so far: accuracy per epsilon and the best networks."""

    run_dir: tyro.conf.Positional[Path]
    """The --run-dir of a search."""
    top: int = 5
    """Number of networks to list."""
    json: bool = False
    """Print all of it as JSON, every network and episode included."""

    def run(self) -> None:
        """Prints the tables or the JSON."""
        summary = summarise(self.run_dir, *find_run(self.run_dir))
        if self.json:
            print(json.dumps(summary, indent=2))
        else:
            _out.print(tables(summary, self.top))


Command = (
    Annotated[SearchCommand, tyro.conf.subcommand("search")]
    | Annotated[TrainCommand, tyro.conf.subcommand("train")]
    | Annotated[SpaceCommand, tyro.conf.subcommand("space")]
    | Annotated[ShowCommand, tyro.conf.subcommand("show")]
)


def main() -> None:
    """Entry point: 0 is success, 2 the user's mistake, 1 anything else, 130 Ctrl-C."""
    command: Any = tyro.cli(
        Command,
        prog="cnnarch",
        description="CNN architecture search with reinforcement learning.",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
    try:
        command.run()
    except InvalidInput as error:
        _fail(error, 2)
    except (StoreError, OSError) as error:
        _fail(error, 1)
    except KeyboardInterrupt:
        _fail("Stopped.", 130)


def _fail(error: object, status: int) -> None:
    _err.print(f"[red]cnnarch:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
    sys.exit(status)


def _specification(registered: Any, words: tuple[str, ...]) -> dict[str, Any]:
    """``quick epochs=5`` as plain data; without a preset the settings change the registered one."""
    base = {"preset": registered} if isinstance(registered, str) else dict(registered or {})
    for word in words:
        name, separator, text = word.partition("=")
        if not separator:
            base = {"preset": name}
            continue
        try:
            base[name] = json.loads(text)
        except ValueError:
            base[name] = text
    return base


def _schedule(words: tuple[str, ...]) -> EpsilonSchedule:
    try:
        phases = tuple((float(e), int(n)) for e, n in (word.split(":") for word in words))
        return EpsilonSchedule(phases)
    except ValueError as error:
        raise InvalidInput(
            f"--schedule takes EPSILON:NETWORKS, such as 1.0:80 0.1:30, but came as "
            f"{' '.join(words)}."
        ) from error
