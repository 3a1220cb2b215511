"""One self-contained page of a run, finished or not."""

import base64
import json
from pathlib import Path
from typing import Any

import jinja2

from agents import MetaQNN
from gym_cnnarch import Architecture
from gym_cnnarch.files import replace_file
from gym_cnnarch.space.architecture import Conv, FullyConnected, Layer, Pool
from gym_cnnarch.space.latencies import in_brief
from gym_cnnarch.space.shapes import layer_shapes
from train_eval.output.console import duration
from train_eval.records.final_results import FinalResults
from train_eval.records.importing import IMPORTED
from train_eval.records.kept import plain_text
from train_eval.records.run_rows import NetworkRow, Phase
from train_eval.records.summary import Summary
from train_eval.report import facts
from train_eval.report.figures import RunFigures
from train_eval.report.terminal import (
    has_front,
    milliseconds,
    of_budget,
    percent,
    stopped_early,
)
from train_eval.search.agents import make_agent
from train_eval.search.offline import learn_offline

PAGE = "report.html"

_SECTIONS = (
    (
        "How the search went",
        {
            "accuracy": "Validation accuracy of the unique models in the order in which they were "
            "trained (as the paper's figure 3); failed and stopped ones leave gaps.",
            "distributions": "Distribution of the accuracy at each epsilon, with medians (as "
            "figure A2).",
            "first_and_last": "The first epsilon against the last (as figure A2).",
            "curves": "Validation accuracy after each epoch: in grey of networks that were trained "
            "to their end, in colour of those that were stopped early, as far as they came; a dot "
            "is the accuracy that one is predicted to have had in the end.",
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
            "parameters": "Validation accuracy against the number of parameters, with the front: "
            "to none of its networks is another preferable in both.",
            "macs": "Validation accuracy against multiply-accumulates per image, with the front.",
        },
    ),
)


def write_report(
    summary: Summary, results: FinalResults | None, folder: Path, top: int = 10
) -> Path:
    """Writes the page, and each figure as SVG and PNG.

    Args:
        summary: The run.
        results: Of its final trainings, None if there are none.
        folder: Where to write.
        top: Number of networks to show.

    Returns:
        The page's path.

    Raises:
        InvalidInput: If matplotlib is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = RunFigures(summary, _agent(summary)).draw(folder)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("train_eval.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    content = _content(summary, results, drawn, folder, top)
    page = environment.get_template(PAGE).render(**content)
    replace_file(folder / PAGE, plain_text(page).encode())
    return folder / PAGE


def _agent(summary: Summary) -> MetaQNN | None:
    """For runs of MetaQNN, and published ones, an agent that has learned their episodes."""
    settings = summary.settings
    made_by = {"name": "metaqnn"} if settings.agent["name"] == IMPORTED else settings.agent
    plain = not settings.observe_budget and settings.observation == "multidiscrete"
    if made_by["name"] != "metaqnn" or not plain:  # else it learned from other observations
        return None
    agent = make_agent(made_by, settings.space, settings.seed)
    if not isinstance(agent, MetaQNN):
        return None
    learn_offline(agent, summary.episodes, settings.space, settings.observe_size)
    return agent


def _content(
    summary: Summary,
    results: FinalResults | None,
    drawn: list[str],
    folder: Path,
    top: int,
) -> dict[str, Any]:
    """Returns the values of the page's template."""
    settings = summary.settings
    state = "finished" if summary.finished else "not finished yet"
    agent = settings.agent["name"]
    best = f"{summary.best[0].accuracy:.2%}" if summary.best else "none yet"
    return {
        "title": f"{settings.env}: {len(summary.networks):,} networks",
        "lead": f"{'Published results' if agent == IMPORTED else f'A search by {agent}'}, {state}. "
        + " ".join(line for line in (summary.warning, stopped_early(summary)) if line),
        "facts": [
            ("best validation accuracy", best),
            (f"unique networks{of_budget(summary)}", f"{len(summary.networks):,}"),
            ("episodes", f"{len(summary.episodes):,}"),
            *([("of training", duration(spent))] if (spent := summary.train_seconds) else []),
            *([("stopped early", f"{len(summary.stopped):,}")] if summary.stopped else []),
        ],
        "sections": [
            (heading, figures)
            for heading, captions in _SECTIONS
            if (figures := _figures(captions, drawn, folder))
        ],
        "epsilons": [_phase(phase) for phase in summary.epsilons if phase.epsilon is not None],
        "networks": [
            _network(
                network,
                milliseconds(summary.latencies, network.architecture),
                settings.space.input_shape,
            )
            for network in summary.best[:top]
        ],
        "images": facts.images(summary),
        "finals": [] if results is None else facts.finals(results),
        "tested": 0 if results is None else results.test_images,
        "finals_failed": [] if results is None else results.failed,
        "command": facts.command(summary),
        "objectives": ", ".join(summary.objectives),
        "front": [_front_row(n) for n in summary.front] if has_front(summary) else [],
        "failures": [(f"{way.networks:,}", way.status, way.message) for way in summary.failures],
        "cost": _cost(summary),
        "settings": json.dumps(
            {
                "run": summary.run,
                "settings": in_brief(settings.as_json()),
                "made_with": summary.made_with,
            },
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


def _phase(phase: Phase) -> list[str]:
    return [
        f"{phase.epsilon:g}",
        f"{phase.episodes:,}",
        f"{phase.unique:,}",
        f"{phase.failed:,}",
        f"{phase.stopped:,}",
        percent(phase.mean_accuracy),
        percent(phase.mean_accuracy_of_episodes),
    ]


def _network(network: NetworkRow, ms: str, input_shape: tuple[int, int, int]) -> dict[str, Any]:
    layers = Architecture.parse(network.architecture).layers
    return {
        "architecture": network.architecture,
        "accuracy": f"{network.accuracy:.2%}",
        "parameters": f"{network.parameters:,}",
        "macs": f"{network.macs:,}",
        "milliseconds": ms,
        "input": _size(input_shape),
        "layers": [
            {"text": str(layer), "shape": _size(size), "kind": _kind(layer)}
            for layer, size in zip(layers, layer_shapes(layers, input_shape), strict=True)
        ],
    }


def _front_row(network: NetworkRow) -> list[str]:
    return [
        network.architecture,
        f"{network.accuracy:.2%}",
        f"{network.parameters:,}",
        f"{network.macs:,}",
    ]


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


def _cost(summary: Summary) -> list[tuple[str, str]]:
    seconds, unique = summary.train_seconds, len(summary.networks)
    agent = summary.settings.agent
    imported = agent["name"] == IMPORTED
    rows = []
    if seconds:
        rows.append(("recorded seconds of training, all networks", duration(seconds)))
        rows.append(("networks per hour of training", f"{3600 * unique / seconds:,.1f}"))
    if not imported:
        rows.append(("networks at a time", str(summary.made_with.get("workers", 1))))
    if summary.wall_seconds and not imported:
        wall = duration(summary.wall_seconds)
        rows.append(("from the beginning to the end, pauses included", wall))
    if summary.latencies is not None:
        rows.append(("milliseconds are of", str(summary.latencies.conditions)))
    rows += [(f"networks with status {s}", f"{n:,}") for s, n in summary.statuses.items()]
    skipped = agent.get("skipped", {})
    rows += [(f"rows left out: {reason}", f"{n:,}") for reason, n in skipped.items()]
    return rows
