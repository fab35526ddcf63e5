"""JSON Schemas of a run's files, made from the types that write and read them.

`schema`, the version in each file and in each line, is raised when a file's form changes so that
an earlier reader would misread it; a field more, which earlier readers ignore, does not raise it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from raftmark.bench.runs.forms import SCHEMA, Manifest, Trial
from raftmark.bench.runs.results import RESULT_TYPES

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def run_schema() -> dict[str, Any]:
    """Return the schema of `run.json`."""
    return _versioned(msgspec.json.schema(Manifest), "Manifest", "A run of Raftmark")


def trial_schema() -> dict[str, Any]:
    """Return the schema of a line of `trials.jsonl`.

    The result of a trial that is ok is one of its workload's; what a failed one answered is kept
    as it came.
    """
    schema = _versioned(msgspec.json.schema(Trial), "Trial", "A trial of a run of Raftmark")
    _, types = msgspec.json.schema_components(RESULT_TYPES.values(), ref_template="#/$defs/{name}")
    schema["$defs"] |= types
    schema["if"] = {"properties": {"status": {"const": "ok"}}}
    schema["then"] = {
        "properties": {
            "result": {
                "anyOf": [
                    {
                        "$ref": f"#/$defs/{result.__name__}",
                        "properties": {"workload": {"const": workload}},
                        "required": ["workload"],
                    }
                    for workload, result in RESULT_TYPES.items()
                ]
            },
            "check": {"properties": {"passed": {"const": True}}, "required": ["passed"]},
            "failure": {"type": "null"},
        }
    }
    return schema


def _versioned(schema: dict[str, Any], name: str, title: str) -> dict[str, Any]:
    version = schema["$defs"][name]["properties"]["schema"]
    version.clear()
    version["const"] = SCHEMA
    return {"$schema": _DIALECT, "title": f"{title}, version {SCHEMA}", **schema}


SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {"run": run_schema, "trial": trial_schema}
