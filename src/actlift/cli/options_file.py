"""Options in a file: what ``--config`` reads."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import cyclopts
import yaml

from actlift.errors import InputError

VALUES = (str, int, float, bool, type(None))  # of one option; None is none
Config = Callable[[cyclopts.App, tuple[str, ...], Any], None]  # what cyclopts asks for options beside the words given


class UsageError(InputError):
    """An options file that the command line cannot take."""


def read_options(path: Path, app: cyclopts.App) -> tuple[Config, ...]:
    """Read the options of one verb from a YAML file: `steps: 6000` is `--steps 6000`.

    Args:
        path: the file: names of options with a value or a list of values each, no deeper.
        app: whose verbs are no options.

    Raises:
        UsageError: the file is not there, is no YAML, or holds something else; and, once the verb is known, for an
            option that it does not have.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; --config takes a YAML file of options") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}); --config takes a YAML file of options") from error
    try:
        options = yaml.safe_load(text)
    except RecursionError:
        raise UsageError(f"{path}: lists within lists; an option has one value, or a list of them") from None
    except Exception as error:  # of dates and numbers that there are not, and of tags that do not fit, in any way
        raise UsageError(f"{path}: not valid YAML: {error}") from error
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise UsageError(f"{path}: wanted options such as `seed: 1`, one a line; got {type(options).__name__}")
    for key, value in options.items():
        _check(path, app, key, value)

    def known_only(_app: cyclopts.App, commands: tuple[str, ...], arguments: Any) -> None:
        names = {name.removeprefix("--") for argument in arguments for name in argument.names}
        for key in options:
            if key.replace("_", "-") not in names:
                raise UsageError(f"{path}: unknown option [{key}]{_nearest(key, names)}; {_help(commands)}")

    return known_only, cyclopts.config.Dict(options, source=str(path), use_commands_as_keys=False)


def _nearest(key: str, names: Iterable[str]) -> str:
    near = get_close_matches(key.replace("_", "-"), names, n=1)
    return f", did you mean {near[0]}?" if near else ""


def _help(commands: tuple[str, ...]) -> str:
    return f"`{' '.join(('actlift', *commands))} --help` lists what there is"


def _check(path: Path, app: cyclopts.App, key: object, value: object) -> None:
    """Raise for what is no option, which cyclopts would not say clearly."""
    if not isinstance(key, str):
        raise UsageError(f"{path}: [{key}] is no name of an option, such as test-subjects; got {type(key).__name__}")
    if key in app:
        raise UsageError(f"{path}: unknown option [{key}]; the options of one verb stand there, without its name")
    if key.startswith(("no-", "no_")):
        raise UsageError(f"{path}: unknown option [{key}]; write `{key[3:]}: false`")
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    for each in inner:
        if isinstance(each, list | dict):
            raise UsageError(f"{path}: [{key}] holds a {type(each).__name__} within another; no option goes so deep")
        if not isinstance(each, VALUES):
            raise UsageError(f"{path}: [{key}] holds a {type(each).__name__}; quote it to make it text")
    if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
        raise UsageError(f"{path}: [{key}] has keys that are no text; quote them")


def whole_numbers_only(_app: cyclopts.App, _commands: tuple[str, ...], arguments: Any) -> None:
    """Refuse 2.5 where a whole number is wanted, which would otherwise be rounded."""
    for argument in arguments:
        if int in (argument.hint, *get_args(argument.hint)):
            for token in argument.tokens:
                if "." in token.value:
                    raise cyclopts.CoercionError(argument=argument, token=token, target_type=int)
