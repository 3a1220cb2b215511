"""One self-contained page of a run, finished or not."""

import base64
import json
from pathlib import Path
from typing import Any

import jinja2

from agents import EpsilonSchedule, MetaQNN
from gym_cnnarch import Architecture, SearchSpace
from gym_cnnarch.architecture import Conv, FullyConnected, Layer, Pool
from gym_cnnarch.shapes import layer_shapes
from train_eval.records.importing import IMPORTED
from train_eval.records.run_directory import final_results
from train_eval.records.store import Store
from train_eval.records.summary import summarise
from train_eval.report.figures import RunFigures
from train_eval.search.offline import learn_offline
from train_eval.search.progress import duration

PAGE = "report.html"

_SECTIONS = (
    (
        "How the search went",
        {
            "accuracy": "Validation accuracy of the unique models in the order in which they were "
            "trained (as the paper's figure 3).",
            "distributions": "Distribution of the accuracy at each epsilon, with medians (as "
            "figure A2).",
            "first_and_last": "The first epsilon against the last (as figure A2).",
        },
    ),
    (
        "What the agent learned",
        {
            "q_by_type": "Average Q-value of the visited choices by the depth of the layer, for "
            "each type of layer (as figure A3), of an agent that learned the recorded episodes in "
            "their order.",
            "q_by_receptive_field": "The same for convolutions, for each receptive field (as "
            "figure A4).",
        },
    ),
    (
        "What accuracy costs",
        {
            "parameters": "Validation accuracy against the number of parameters.",
            "macs": "Validation accuracy against multiply-accumulates per image.",
        },
    ),
)


def write_report(run_dir: Path, store: Store, run: str, folder: Path, top: int = 10) -> Path:
    """Writes the page, and each figure as SVG and PNG.

    Args:
        run_dir: The run's folder.
        store: Its store.
        run: Its name there.
        folder: Where to write.
        top: Number of networks to show.

    Returns:
        The page's path.

    Raises:
        InvalidInput: If matplotlib is missing.
    """
    summary = summarise(run_dir, store, run)
    errors = {row["architecture"]: row["test_error"] for row in _finalized(run_dir)}
    for network in summary["top"]:
        network["test_error"] = errors.get(network["architecture"])
    folder.mkdir(parents=True, exist_ok=True)
    drawn = RunFigures(summary, _agent(store, run, summary)).draw(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("train_eval.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = environment.get_template(PAGE).render(**_content(summary, drawn, folder, top))
    (folder / PAGE).write_text(page)
    return folder / PAGE


def _finalized(run_dir: Path) -> list[dict[str, Any]]:
    results = final_results(run_dir)
    return [] if results is None else list(results["networks"])


def _agent(store: Store, run: str, summary: dict[str, Any]) -> MetaQNN | None:
    """For runs of MetaQNN, and published ones, an agent that has learned their episodes."""
    settings = summary["settings"]
    arguments = dict(settings["agent"])
    name = arguments.pop("name")
    space = SearchSpace.from_spec(settings["search_space"])
    if name == "metaqnn":
        arguments["schedule"] = EpsilonSchedule(tuple(map(tuple, arguments["schedule"])))
        agent = MetaQNN(len(space.actions), settings["seed"], **arguments)
    elif name == IMPORTED:
        agent = MetaQNN(len(space.actions))
    else:
        return None
    learn_offline(agent, store.episodes(run), space, settings["observe_size"])
    return agent


def _content(summary: dict[str, Any], drawn: list[str], folder: Path, top: int) -> dict[str, Any]:
    settings = summary["settings"]
    best = summary["top"][0] if summary["top"] else None
    state = "finished" if summary["finished"] else "not finished yet"
    agent = settings["agent"]["name"]
    return {
        "title": f"{settings['env']}: {summary['unique']:,} networks",
        "lead": f"{'Published results' if agent == IMPORTED else f'A search by {agent}'}, {state}.",
        "facts": [
            ("best validation accuracy", f"{best['accuracy']:.2%}" if best else "none yet"),
            (f"unique networks of {summary['budget']:,}", f"{summary['unique']:,}"),
            ("episodes", f"{len(summary['episodes']):,}"),
            *([("of training", duration(spent))] if (spent := summary["train_seconds"]) else []),
        ],
        "sections": [
            (heading, figures)
            for heading, captions in _SECTIONS
            if (figures := _figures(captions, drawn, folder))
        ],
        "epsilons": [
            _phase(phase) for phase in summary["epsilons"] if phase["epsilon"] is not None
        ],
        "networks": [_network(network, settings) for network in summary["top"][:top]],
        "cost": _cost(summary),
        "settings": json.dumps(
            {"run": summary["run"], "settings": settings, "made_with": summary["made_with"]},
            indent=2,
        ),
    }


def _figures(captions: dict[str, str], drawn: list[str], folder: Path) -> list[dict[str, str]]:
    return [
        {"caption": caption, "data": _base64(folder / f"{name}.svg")}
        for name, caption in captions.items()
        if name in drawn
    ]


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _phase(phase: dict[str, Any]) -> list[str]:
    unique = phase["mean_accuracy"]
    return [
        f"{phase['epsilon']:g}",
        f"{phase['episodes']:,}",
        f"{phase['unique']:,}",
        "" if unique is None else f"{unique:.2%}",
        f"{phase['mean_accuracy_of_episodes']:.2%}",
    ]


def _network(network: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    architecture = Architecture.parse(network["architecture"])
    shape = tuple(settings["search_space"]["input_shape"])
    sizes = layer_shapes(architecture.layers, shape)
    return {
        "architecture": network["architecture"],
        "accuracy": f"{network['accuracy']:.2%}",
        "test": "" if network["test_error"] is None else f"{network['test_error']:.2%}",
        "parameters": f"{network['parameters']:,}",
        "macs": f"{network['macs']:,}",
        "input": _size(shape),
        "layers": [
            {"text": str(layer), "shape": _size(size), "kind": _kind(layer)}
            for layer, size in zip(architecture.layers, sizes, strict=True)
        ],
    }


def _size(shape: tuple[int, ...]) -> str:
    """Height x width x channels, or the number of neurons."""
    return "x".join(map(str, (*shape[1:], shape[0])))


def _kind(layer: Layer) -> str:
    match layer:
        case Conv():
            return "convolution"
        case Pool():
            return "pooling"
        case FullyConnected():
            return "dense"
    return "end"


def _cost(summary: dict[str, Any]) -> list[tuple[str, str]]:
    seconds, unique = summary["train_seconds"], summary["unique"]
    imported = summary["settings"]["agent"]["name"] == IMPORTED
    rows = []
    if seconds:
        rows.append(("recorded seconds of training, all networks", duration(seconds)))
        rows.append(("networks per hour of training", f"{3600 * unique / seconds:,.1f}"))
    if not imported:
        rows.append(("networks at a time", str(summary["made_with"].get("workers", 1))))
    if summary["wall_seconds"] and not imported:
        wall = duration(summary["wall_seconds"])
        rows.append(("from the beginning to the end, pauses included", wall))
    rows += [(f"networks with status {s}", f"{n:,}") for s, n in summary["statuses"].items()]
    skipped = summary["settings"]["agent"].get("skipped", {})
    rows += [(f"rows left out: {reason}", f"{n:,}") for reason, n in skipped.items()]
    return rows
