"""Every corpus digest that the documentation tells is that of the command above it."""

import re
import shlex
from collections.abc import Iterator

import pytest
from tests.commands import command
from tests.test_docs import DOCUMENTS, FENCE, of_actlift, shell_commands

from actlift.data.corpus import Corpus

TOLD = re.compile(r"digest\s+(?:is\s+)?`?([0-9a-f]{12})\b", re.IGNORECASE)


def told() -> Iterator[tuple[str, str, str]]:
    """Page, the last command above that prepares a corpus, and the digest."""
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        prepared = [
            (block.start(), shlex.join(words))
            for block in FENCE.finditer(text)
            for line in shell_commands(block[2])
            if (words := of_actlift(line)) is not None and words[:2] == ["data", "prepare"]
        ]
        for digest in TOLD.finditer(text):
            above = [words for start, words in prepared if start < digest.start()]
            yield path.name, above[-1] if above else "", digest[1]


def test_every_digest_stands_below_its_command():
    found = list(told())
    assert len(found) >= 6
    for page, words, digest in found:
        assert words, f"{page}: {digest} stands below no `actlift data prepare`"


@pytest.mark.slow
@pytest.mark.parametrize("words", sorted({words for _, words, _ in told()}))
def test_the_command_gives_the_digest(words, tmp_path, request):
    parts = shlex.split(words)
    parts[parts.index("--out") + 1] = str(tmp_path / "corpus")
    data = None if "synthetic" in parts else request.getfixturevalue("actlift_data") / "mocap"
    made = command(*parts, cwd=data)
    assert made.code == 0, made.err
    digest = Corpus.open(tmp_path / "corpus").digest
    for page, of, wanted in told():
        assert of != words or digest.startswith(wanted), page
