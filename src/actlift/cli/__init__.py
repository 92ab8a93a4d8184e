"""The command ``actlift``: its verbs, and how it ends.

    0    all is well
    1    input that cannot be used, or a file that cannot be read or written: one line says what, and how to mend it
    2    words or an options file that the command line cannot take: one line, with the help that lists what there is
    70   a bug in actlift: its traceback, and what to send with a report
    130  stopped by Ctrl-C; where work goes on when asked again, the line says so

With ``--debug`` every error has its traceback.
"""

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cyclopts
from cyclopts import Parameter

from actlift import __version__
from actlift.cli import console
from actlift.cli.data import data_info, data_prepare
from actlift.cli.lift import lift_verb
from actlift.cli.options_file import UsageError, read_options, whole_numbers_only
from actlift.cli.serve import serve_verb
from actlift.cli.study import advise, audit_verb, demo, report_verb, study_verb, switching
from actlift.cli.train import evaluate_verb, export, finetune_verb, recognize_verb, train_verb
from actlift.errors import InputError

INPUT, USAGE, BUG, STOPPED = 1, 2, 70, 130  # ways to end

app = cyclopts.App(
    name="actlift",
    help="Lift 2D human keypoints to 3D motion with networks that know the action, and measure when that pays.",
    version=__version__,
    help_format="markdown",
    # options take several words, as in --test-subjects S7 S8, and have no --empty-... twins
    default_parameter=Parameter(consume_multiple=True, negative_iterable=()),
    print_error=False,
    exit_on_error=False,
    suppress_keyboard_interrupt=False,  # main says how to resume
)
app.meta.suppress_keyboard_interrupt = False

VERBS: dict[str, Callable[..., None]] = {
    "lift": lift_verb,
    "serve": serve_verb,
    "train": train_verb,
    "finetune": finetune_verb,
    "evaluate": evaluate_verb,
    "export": export,
    "recognize": recognize_verb,
    "study": study_verb,
    "demo": demo,
    "report": report_verb,
    "advise": advise,
    "audit": audit_verb,
    "switching": switching,
}
for name, verb in VERBS.items():
    app.command(verb, name=name)

data_app = cyclopts.App(name="data", help="Make corpora out of motion capture, and look at them.")
data_app.command(data_prepare, name="prepare")
data_app.command(data_info, name="info")
app.command(data_app)


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    config: Annotated[
        Path | None, Parameter(help="YAML file with the options of the verb; the command line wins.")
    ] = None,
    debug: Annotated[bool, Parameter(help="Print tracebacks of all errors.", negative=())] = False,
) -> None:
    del debug  # main looks for it itself, since it also matters where words cannot be taken
    app.config = (*(() if config is None else read_options(config, app)), whole_numbers_only)
    try:
        app(tokens)
    finally:
        app.config = ()  # the next call reads its own


def main() -> None:
    """Run the command line; see the module for how it ends."""
    debug = "--debug" in sys.argv[1:]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = console.warn
            app.meta(sys.argv[1:])
    except cyclopts.CycloptsError as error:
        error.verbose = False
        chain = " ".join(("actlift", *(error.command_chain or ())))
        console.stop(f"{error} `{chain} --help` lists what there is.", USAGE, trace=debug)
    except UsageError as error:
        console.stop(error, USAGE, trace=debug)
    except (InputError, OSError) as error:
        console.stop(error, INPUT, trace=debug)
    except KeyboardInterrupt as interrupt:  # those that can go on later say so
        console.stop(str(interrupt) or "stopped", STOPPED, trace=debug)
    except Exception:
        console.stop(
            "this is a bug in actlift, not in what it was given. Please report it: the command, the traceback above, "
            f"and the version ({__version__}, from `actlift --version`).",
            BUG,
            trace=True,
        )
