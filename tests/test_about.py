"""What the project says of itself to programs: its version, and how to cite it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml

from raftmark.bench.contenders.places import ROOT, VERSION


def test_the_citation_is_valid_and_of_this_version():
    citation = ROOT / "CITATION.cff"
    checker = Path(sys.executable).with_name("check-jsonschema")
    schema = ("--builtin-schema", "vendor.citation-file-format")
    done = subprocess.run([checker, *schema, citation], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load(citation.read_text(encoding="utf-8"))["version"] == VERSION
