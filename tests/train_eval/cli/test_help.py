"""Every example in a help text is accepted as it is copied; examples stand in backticks."""

import ast
import dataclasses
import inspect
import json
import re
import shlex
import textwrap
import typing

import pytest
import tyro

from gym_cnnarch import Architecture, SearchSpace
from train_eval.cli.benchmark import _read_settings
from train_eval.cli.commands import Command, TableCommand
from train_eval.cli.fit import FitCommand
from train_eval.cli.options import specification
from train_eval.environments import make_env
from train_eval.run.fit import SPACE
from train_eval.training.recipe import Recipe


def commands():
    """The classes of all subcommands, those of ``table`` included."""
    found = [typing.get_args(each)[0] for each in typing.get_args(Command)]
    (action,) = dataclasses.fields(TableCommand)
    found += [kind for kind in subclasses_of(action.type) if kind not in found]
    return [kind for kind in found if kind is not TableCommand]


def subclasses_of(annotation):
    if inspect.isclass(annotation):
        return [annotation] if dataclasses.is_dataclass(annotation) else []
    return [kind for each in typing.get_args(annotation) for kind in subclasses_of(each)]


def examples():
    """Command, and an example of the help of one of its options."""
    for command in commands():
        for kind in command.__mro__:
            if not dataclasses.is_dataclass(kind):
                continue
            tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
            for node in tree.body[0].body:
                if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                    text = " ".join(str(node.value.value).split())
                    for example in re.findall(r"`([^`]+)`", text):
                        yield pytest.param(command, example, id=f"{command.__name__}-{example}")


def is_needed(field):
    """Whether an option has no default, by the field's or (old versions) tyro's own mark."""
    return field.default is tyro.MISSING or field.default is dataclasses.MISSING


EXAMPLES = list(examples())


def test_there_are_examples_in_the_help_of_all_kinds_of_options():
    found = {re.match(r"--[a-z-]+|.", param.values[1])[0] for param in EXAMPLES}
    assert found == {"--recipe", "--search-space", "--schedule", "{", '"'}


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(("command", "example"), EXAMPLES)
def test_an_example_is_accepted_as_it_is_copied(tmp_path, command, example, quoted):
    if example.startswith("{"):
        (tmp_path / "settings.json").write_text(example)
        assert _read_settings(tmp_path / "settings.json") == json.loads(example)
        return
    if example.startswith('"'):
        Architecture.parse(*shlex.split(example))
        return
    option, *words = shlex.split(example)
    if quoted:
        words = [" ".join(words)]
    needed = [
        "x" for field in dataclasses.fields(command) if is_needed(field) and field.name != "env"
    ]
    if any(field.name == "env" and is_needed(field) for field in dataclasses.fields(command)):
        needed += ["--env", "CNNArch-Digits-v0"]
    parsed = tyro.cli(command, args=[*needed, option, *words])
    if option == "--schedule":
        schedule = parsed._agent_settings()["schedule"]
        assert list(schedule.phases) == [(1.0, 80), (0.5, 40), (0.1, 30)]
    elif isinstance(parsed, FitCommand):
        Recipe.from_spec(specification(None, parsed.recipe))
        spec = {**SPACE, **specification(None, parsed.search_space)}
        SearchSpace.from_spec(spec, input_shape=(3, 32, 32), num_classes=10)
    elif hasattr(parsed, "final_recipe"):
        parsed.final_recipe()
    elif option == "--recipe":
        assert Recipe.from_spec(parsed.kwargs()["recipe"]).epochs == 5
    else:
        space = make_env("CNNArch-CIFAR10-v0", evaluator=None, **parsed.kwargs()).search_space
        assert (space.max_layers, space.conv_filters) == (6, (16, 32))


def test_values_with_spaces_stay_whole():
    words = ("small max_layers=3 conv_filters=[16, 32]", "num_classes=5")
    assert specification(None, words) == {
        "preset": "small", "max_layers": 3, "conv_filters": [16, 32], "num_classes": 5,
    }  # fmt: skip
