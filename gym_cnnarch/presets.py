"""Plain data that names a preset, changes some of its settings, or both."""

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from gym_cnnarch.errors import InvalidInput

Preset = TypeVar("Preset")


def read_spec(
    kind: str,
    spec: Any,
    presets: Mapping[str, Preset],
    default: str,
    names: Collection[str],
    setting: str = "",
) -> tuple[Preset, dict[str, Any]]:
    """The preset to start from, and the settings to change.

    Args:
        kind: What is described, such as ``recipe``, for the messages.
        spec: A preset's name, or a mapping of settings, which may name a ``preset``.
        presets: Name -> preset.
        default: The preset of a mapping that names none.
        names: The settings that there are.
        setting: What one is called, such as ``limit``, where that is another word.

    Raises:
        InvalidInput: If the preset or a setting is unknown.
    """
    if not isinstance(spec, str | Mapping):
        raise InvalidInput(
            f"A {kind} is a preset's name or a mapping of {setting or 'setting'}s, but came as "
            f"{spec!r}."
        )
    settings = {"preset": spec} if isinstance(spec, str) else dict(spec)
    preset = settings.pop("preset", default)
    if not isinstance(preset, str) or preset not in presets:
        raise InvalidInput(f"No {kind} {preset!r}: the presets are {', '.join(presets)}.")
    for name in settings:
        if name not in names:
            what = f"{setting} {name!r}".lstrip()
            raise InvalidInput(f"A {kind} has no {what}: it has {', '.join(names)}.")
    return presets[preset], settings
