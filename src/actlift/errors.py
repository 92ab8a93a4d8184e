"""What actlift raises on purpose.

    InputError (ValueError)         what came, what was wanted, and how to mend it
    ├── MissingInputError           ... and FileNotFoundError: nothing lies where something was to lie
    ├── MissingPackageError         ... and ModuleNotFoundError: an optional package is not installed
    └── UnusableKeypointsError      of one person too little is seen to lift them, or it is nothing that can be

The command line prints these in one line. Beside them it prints an `OSError` so, since a full disk or a folder that may
not be written to is no fault of the program. Everything else is a bug, and keeps its traceback.
"""


class InputError(ValueError):
    """Input that cannot be used: an option, a file, a name, a number, an array."""


class MissingInputError(FileNotFoundError, InputError):
    """A file or folder that is not there."""


class MissingPackageError(ModuleNotFoundError, InputError):
    """An optional package that is not installed; the message says how to install it."""


class UnusableKeypointsError(InputError):
    """Keypoints of one person from which no motion can be made; those of others may do."""
