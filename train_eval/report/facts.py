"""What a page says besides figures: the images, the final trainings, the command."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gym_cnnarch.rewards.reward import is_vector
from train_eval.data.image_data import Reading
from train_eval.environments import find_spec, make_env
from train_eval.records.final_results import FinalResults
from train_eval.records.fit_plan import FitPlan
from train_eval.records.run_directory import recorded_images
from train_eval.records.run_settings import RunSettings
from train_eval.records.summary import Summary
from train_eval.report.terminal import percent


def images(summary: Summary) -> list[tuple[str, str]]:
    """The data set's name and what was read of it; empty where that is not recorded."""
    known = recorded_images(Path(summary.run_dir))
    if known.dataset is None:
        return []
    split = (("to train with", known.train), ("to validate with", known.validation))
    rows = [
        ("data set", known.dataset),
        *((f"images {purpose} in the search", f"{n:,}") for purpose, n in split if n is not None),
    ]
    if known.reading is None:
        return rows
    reading = Reading.from_json(known.reading)
    counts = zip(reading.class_names, reading.images_per_class, strict=True)
    return [
        *rows,
        ("images read", f"{reading.images:,}"),
        ("classes", str(len(reading.class_names))),
        *((f"images of {name}", f"{count:,}") for name, count in counts),
        *((f"skipped: {some.reason}", f"{some.count:,}") for some in reading.skipped),
    ]


def finals(results: FinalResults) -> list[dict[str, str]]:
    """The networks that were trained to their end, with accuracies, and the ensemble last."""
    rows = [
        {
            "name": row.name,
            "validation": percent(row.final_accuracy),
            "test": percent(_accuracy(row.test_error)),
            "parameters": f"{row.parameters:,}",
            "what": row.architecture,
        }
        for row in results.networks
    ]
    together = percent(_accuracy(results.ensemble_error))
    members = f"mean of the probabilities of {', '.join(results.ensemble)}"
    ensemble = {"name": "ensemble", "validation": "", "test": together, "parameters": ""}
    return [*rows, {**ensemble, "what": members}] if together else rows


def command(summary: Summary) -> str:
    """The command that gives the run; empty if it was made in another way."""
    fitted = FitPlan.load(Path(summary.run_dir))
    if fitted is not None:
        return _fit(fitted.given, summary.run_dir)
    settings = summary.settings
    agent = dict(settings.agent)
    objectives = settings.reward if is_vector(settings.reward) else []
    stopping = dict(settings.stopping or {})
    if settings.reward not in ("accuracy", objectives) or settings.observe_size != "bin":
        return ""
    if (settings.failure_reward, settings.evaluation_seed) != (0.0, 0):
        return ""
    if settings.observe_budget or settings.observation != "multidiscrete":
        return ""
    if stopping.pop("kernel", "rbf") != "rbf":
        return ""
    known = recorded_images(Path(summary.run_dir))
    if known.dataset is None and not _looked_up_in_the_id_s_table(settings):
        return ""  # other tables, predictions and evaluators of one's own are not recorded
    words = ["cnnarch", "search", "--env", settings.env]
    for option, value in (("--dataset", known.dataset), ("--data-root", known.data_root)):
        words += [] if value is None else [option, value]
    recipe = settings.recipe
    if isinstance(recipe, Mapping):
        recipe = {"preset": "paper", **recipe}  # where none is named
    words += _specification("--recipe", recipe)
    shape = {"input_shape", "num_classes"}  # the data say these
    space = {k: v for k, v in settings.search_space.items() if k not in shape}
    if "latencies" in space:
        space["latencies"] = "layers.json"  # their content is in the run, their file is not
    words += _specification("--search-space", {"preset": "metaqnn", **space})
    words += ["--agent", agent.pop("name"), "--budget", str(settings.budget)]
    words += ["--seed", str(settings.seed), "--lookahead", str(settings.lookahead)]
    if "schedule" in agent:
        phases = (f"{_number(epsilon)}:{networks}" for epsilon, networks in agent.pop("schedule"))
        words += ["--schedule", *phases]
    for name in ("alpha", "replay", "trace_decay"):
        if name in agent:
            words += [f"--{name.replace('_', '-')}", str(agent.pop(name))]
    if "networks" in agent:
        words += ["--network", *agent.pop("networks")]
    words += ["--objectives", ",".join(objectives)] if objectives else []
    words += _stopping(stopping)
    return "" if agent else shlex.join([*words, "--run-dir", summary.run_dir])


def _looked_up_in_the_id_s_table(settings: RunSettings) -> bool:
    if "table" not in find_spec(settings.env).kwargs:
        return False
    evaluator = make_env(settings.env).evaluator
    return evaluator is not None and evaluator.task == settings.task


def _number(number: float) -> str:
    """All of it, 1 instead of 1.0."""
    return repr(number).removesuffix(".0")


def _fit(given: Mapping[str, Any], run_dir: str) -> str:
    """The command of a fit."""
    words = ["cnnarch", "fit", str(given["dataset"]), "--hours", _number(given["hours"])]
    for option in ("data_root", "device", "workers"):
        if given[option] is not None:
            words += [f"--{option.replace('_', '-')}", str(given[option])]
    words += _specification("--recipe", given["recipe"] or None)
    words += _specification("--search-space", given["search_space"] or None)
    return shlex.join([*words, "--seed", str(given["seed"]), "--run-dir", run_dir])


def _stopping(rule: Mapping[str, Any]) -> list[str]:
    """The options of ``--stop-early``."""
    words = []
    for name, value in rule.items():
        values = value if isinstance(value, list | tuple) else [value]
        words += ["--stop-early" if name == "rule" else f"--{name}", *map(str, values)]
    return words


def _specification(option: str, spec: Any) -> list[str]:
    if spec is None:
        return []
    if isinstance(spec, str):
        return [option, spec]
    settings = dict(spec)
    first = [settings.pop("preset")] if "preset" in settings else []
    others = (
        f"{name}={value if isinstance(value, str) else json.dumps(value, separators=(',', ':'))}"
        for name, value in settings.items()
    )
    return [option, *first, *others]


def _accuracy(error: float | None) -> float | None:
    return None if error is None else 1 - error
