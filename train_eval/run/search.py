"""``run_search``: from an environment and an agent to a run on disk."""

import contextlib
import dataclasses
import operator
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents import PAPER_SCHEDULE, Agent
from gym_cnnarch import InvalidInput, SearchSpace
from gym_cnnarch.env import CNNArchEnv
from train_eval.environments import full_id, make_env, training_evaluator
from train_eval.parallel.options import ExecutorOptions, Workplace
from train_eval.parallel.task import evaluation_task
from train_eval.records.run_directory import (
    LOCK,
    check_folder,
    in_use,
    open_run,
    recorded_settings,
)
from train_eval.records.run_file import RunData
from train_eval.run.run import Run
from train_eval.search.agents import (
    AGENTS,
    as_schedule,
    check_takes_vectors,
    default_agent,
    make_agent,
    search_settings,
)
from train_eval.search.search import Learned, Search
from train_eval.search.settings import check_hours, default_lookahead, run_settings
from train_eval.search.usual import USUAL, usual_networks
from train_eval.training.stopping import Halving, Prediction, make_rule, rule_settings

if TYPE_CHECKING:
    from train_eval.training.evaluator import TrainingEvaluator

_EXECUTOR_OPTIONS = {field.name for field in dataclasses.fields(ExecutorOptions)} - {"executor"}

Follow = Callable[[Search], Iterable[Learned]]


def run_search(
    env: str = "CNNArch-Digits-v0",
    agent: str | Agent | None = None,
    budget: int | None = None,
    *,
    run_dir: str | Path,
    seed: int = 0,
    agent_settings: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    lookahead: int | None = None,
    hours: float | None = None,
    stop_early: str | Prediction | Halving | None = None,
    executor: str | Executor | None = None,
    on_episode: Callable[[Learned], None] | None = None,
    follow: Follow = iter,
    **options: Any,
) -> Run:
    """Searches for good networks, or continues a search; every result is kept.

    What ``cnnarch search`` does, with the same names:
    ``run_search("CNNArch-Digits-v0", budget=100, run_dir="runs/x")``. The same call, or the same
    command, continues a search that was stopped at any moment.

    Args:
        env: Id of the environment.
        agent: A name that ``cnnarch search --agent`` takes, ``MODULE:CLASS`` or
            ``PATH/FILE.py:CLASS``, or a new agent; it must be deterministic. None for ``metaqnn``,
            and ``nsga2`` where the reward is a vector: ``reward=["accuracy", "-parameters"]``.
        budget: Number of unique networks; None for that of the schedule, the paper's 2,700. A run
            whose agent has no schedule goes on if it is asked for more.
        run_dir: Folder of the run.
        seed: The agent's seed, where it is made by its name.
        agent_settings: Keyword arguments of an agent that is made by its name.
        store: File of results to share with other runs; None for one in the folder.
        lookahead: Episodes that the agent may act ahead of what it has learned; None for the
            recorded one, else 1 for one worker and 8 per worker for more, at most a quarter of the
            budget.
        hours: Time after which no further network is begun, those in training being finished; the
            same call goes on for as long again. None for no limit.
        stop_early: The rule that ends trainings early: ``prediction``, ``halving``, or one of
            ``train_eval.training.stopping`` with its settings, such as ``Prediction(delta=0.95)``;
            see docs/early_stopping.md. None trains every network to its end.
        executor: ``inline``, ``local``, ``ray``, or any ``concurrent.futures.Executor``, which
            stays open; None for local workers, and inline where nothing is trained.
        on_episode: Called with each episode when the agent has learned from it.
        follow: Called with the search; yields its episodes while it shows them.
        options: ``workers`` (of one's own executor: how many networks it trains at a time) and the
            other options of ``ExecutorOptions``; all others are arguments of the environment, such
            as ``recipe``, ``search_space``, ``dataset`` and ``device``.

    Returns:
        The run, finished unless its hours were over.

    Raises:
        InvalidInput: If an argument cannot be used, or the folder holds another run.
        StoreError: If the store cannot be read or written.
        WorkersUnavailable: If no worker process can be started.
    """
    run_dir = Path(run_dir)
    where = ExecutorOptions(**{k: options.pop(k) for k in list(options) if k in _EXECUTOR_OPTIONS})
    where.check_executor()
    seed = _integer("seed", seed)
    budget = None if budget is None else _integer("budget", budget, least=1)
    lookahead = None if lookahead is None else _integer("lookahead", lookahead, least=1)
    if hours is not None:
        check_hours(hours)
    check_folder(run_dir)
    made = make_env(env, **options)
    settings, made_agent, budget = _agent(agent, agent_settings or {}, budget, seed, made)
    if made.evaluator is None:
        raise InvalidInput(f"{env} has no evaluator: a search needs one.")
    evaluator = training_evaluator(made)
    trains = evaluator is not None
    data = RunData()
    if evaluator is not None:
        from train_eval.data.sources import check_parts
        from train_eval.search.same_images import check_images, images_of

        check_parts(evaluator.dataset, evaluator.recipe.image_size)
        data = images_of(evaluator)
    stopping = None if stop_early is None else _stopping(stop_early, evaluator, budget)
    with _workplace(executor, where, made, trains) as workplace, in_use(run_dir / LOCK):
        known = recorded_settings(run_dir)
        if lookahead is None:
            lookahead = known.lookahead if known else default_lookahead(workplace.workers, budget)
        described = run_settings(made, settings, seed, budget, lookahead, full_id(env), stopping)
        if known is not None and known.as_json() == described.as_json():
            described = known  # 1 and 1.0 are equal, and yet not the same name
        if evaluator is not None and known is not None and known.task != described.task:
            check_images(run_dir, data)
        store_path = None if store is None else Path(store)
        opened = open_run(run_dir, described, store_path, workplace.workers, data)
        with contextlib.closing(opened):
            search = Search(
                made, described, made_agent, workplace.evaluate, opened, workplace.executor,
                workplace.workers, None if hours is None else 3600 * hours,
            )  # fmt: skip
            with contextlib.closing(_episodes(search, follow)) as episodes:
                for learned in episodes:
                    if on_episode is not None:
                        on_episode(learned)
    return Run(run_dir)


def _agent(
    agent: str | Agent | None,
    given: Mapping[str, Any],
    budget: int | None,
    seed: int,
    env: CNNArchEnv,
) -> tuple[dict[str, Any], Agent, int]:
    """The agent's settings in full, the agent, and the budget, at most the space."""
    vector = bool(env.objectives)
    agent = default_agent(vector) if agent is None else agent
    schedule = PAPER_SCHEDULE
    if agent == "metaqnn" and "schedule" in given:
        schedule = as_schedule(given["schedule"])
        given = {**given, "schedule": schedule}
    budget = env.search_space.count_up_to(budget or schedule.total)
    if isinstance(agent, str):
        if agent in AGENTS and env.observation != "multidiscrete":
            raise InvalidInput(f"The agent {agent} reads observation='multidiscrete', the default.")
        if USUAL in given.get("networks", ()):
            given = {**given, "networks": _usual(env.search_space)}
        settings = search_settings(agent, budget, given)
        return settings, make_agent(settings, env.search_space, seed, vector), budget
    if given:
        raise InvalidInput("agent_settings are for an agent that is made by its name.")
    kind = type(agent)
    if vector:
        check_takes_vectors(kind.__qualname__, agent)
    return {"name": f"{kind.__module__}:{kind.__qualname__}"}, agent, budget


def _integer(name: str, number: Any, least: int | None = None) -> int:
    """Also of NumPy's."""
    try:
        integer = operator.index(number)
    except TypeError as error:
        raise InvalidInput(f"{name} must be an integer, but is {number!r}.") from error
    if least is not None and integer < least:
        raise InvalidInput(f"{name} must be at least {least}, but is {integer}.")
    return integer


def _usual(space: SearchSpace) -> list[str]:
    if networks := usual_networks(space):
        return [str(network) for network in networks]
    raise InvalidInput(
        "None of the usual networks is within the limits of the search space: name networks of "
        "yours, or widen the limits."
    )


def _stopping(
    rule: str | Prediction | Halving, evaluator: "TrainingEvaluator | None", budget: int
) -> dict[str, Any]:
    """The settings in full of a rule that stops trainings early."""
    if evaluator is None:
        raise InvalidInput(
            "Only trainings can be stopped early, but here results are looked up or predicted: "
            "leave out the rule (--stop-early)."
        )
    epochs = evaluator.recipe.epochs_of(len(evaluator.data.train))
    chosen = (make_rule(rule) if isinstance(rule, str) else rule).for_epochs(epochs)
    if budget <= chosen.first:
        raise InvalidInput(
            f"Of {budget} networks none would be stopped, since the first {chosen.first} are "
            f"trained to their end: take fewer first ones (--first) or a larger budget."
        )
    return rule_settings(chosen)


@contextlib.contextmanager
def _workplace(
    executor: str | Executor | None, options: ExecutorOptions, env: CNNArchEnv, trains: bool
) -> Iterator[Workplace]:
    if isinstance(executor, Executor) and env.evaluator is not None:
        evaluate = evaluation_task(env) if env.evaluator_name else env.evaluator.evaluate
        yield Workplace(executor, evaluate, options.workers or 1)
        return
    chosen: Any = executor
    with dataclasses.replace(options, executor=chosen).open(env, trains) as workplace:
        yield workplace


def _episodes(search: Search, follow: Follow) -> Generator[Learned]:
    yield from follow(search)
