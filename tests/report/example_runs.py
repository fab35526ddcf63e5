"""The made-up runs whose reports the tests look at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .synthetic_runs import EVERYTHING, LABELS, REALISTIC, Behaviour, mixture_cells

HOSTILE = """<script>alert("x")</script><img src=x onerror='alert(1)'>&amp;{{ 7 * 7 }}"""

FAILING = {
    **REALISTIC,
    "asyncio": Behaviour(failure=("check", "two leaders in term 3"), stderr="Traceback: a log"),
}
ABSENT = {**REALISTIC, "go": Behaviour(unavailable="no Go toolchain was found")}
ATTACKED = {
    **REALISTIC,
    "threading": Behaviour(failure=("run", HOSTILE), stderr=HOSTILE),
    "multiprocessing": Behaviour(unavailable=HOSTILE),
}

# One contender on another interpreter, and one measured twice.
FORMS = {"threading@3.13t": "threading"}
FORMED = {**REALISTIC, "threading@3.13t": Behaviour(capacity=340_000, latency_us=120)}
FORM_LABELS = {**LABELS, "threading@3.13t": "Python threads, 3.13t"}

# What a page can look like, by name; the keywords are those of `write_run`.
RUNS: Mapping[str, Mapping[str, Any]] = {
    "complete": {"behaviours": REALISTIC},
    "everything": {
        "behaviours": FORMED,
        "labels": FORM_LABELS,
        "forms": FORMS,
        "twin": "asyncio",
        "others": EVERYTHING,
        "outstanding": (1, 64),
        "timeouts_ms": ((12, 24), (150, 155)),
        "bare": True,
    },
    "deployed": {
        "twin": "asyncio",
        "outstanding": (1, 64),
        "timeouts_ms": ((150, 300),),
        "deployed": True,
        "others": mixture_cells(),
    },
    "failing": {"behaviours": FAILING},
    "absent": {"behaviours": ABSENT},
    "partial": {"keep": lambda trial: trial["block"] == 0 and trial["order"] < 3, "blocks": 3},
    "small": {"blocks": 1, "elections": 1, "outstanding": (64,), "timeouts_ms": ((150, 300),)},
    "empty": {"keep": lambda trial: False},
    "attacked": {
        "behaviours": ATTACKED,
        "labels": {**LABELS, "asyncio": HOSTILE},
        "bare": True,
        "environment": {"machine": {HOSTILE: HOSTILE}, HOSTILE: HOSTILE},
    },
}
