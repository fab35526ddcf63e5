"""Forms of the contenders: on another Python interpreter, or run in another way.

`threading@3.14t` is the entry `threading` of the contenders' table on the free-threaded Python
3.14, `asyncio@uvloop` the entry `asyncio` in its form `uvloop`, and `asyncio@3.14t+uvloop` is both.
Every variant is a contender like the others, measured and tested as they are.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from raftmark.bench.contenders.compiled import NEEDED, compiled
from raftmark.bench.contenders.interpreters import (
    Environment,
    Interpreter,
    distinct,
    environment,
    find,
)
from raftmark.bench.contenders.places import how_to_install
from raftmark.bench.contenders.registry import (
    ContenderSpec,
    Unavailable,
    UnknownName,
    expand,
)

AUTO = "auto"
TCP = "tcp:"
"""What the name of a mixture begins with; its members' names follow, with + between them."""


class Variant(ContenderSpec, frozen=True, kw_only=True):
    """A contender on an `interpreter` (None is the running one), in a `form` (None is its own)."""

    interpreter: Interpreter | None
    form: str | None
    arguments: list[str]
    transport: str
    compiles: list[str]

    @classmethod
    def of(cls, spec: ContenderSpec, interpreter: Interpreter | None, form: str | None) -> Self:
        """Return a form of a contender, on an interpreter.

        Raises `UnknownName` when the contender has no such form.
        """
        if form is not None and form not in spec.forms:
            raise UnknownName(f"{spec.name} has no form {form}")
        chosen = spec.forms.get(form or "")
        names = [interpreter.name] if interpreter else []
        fields = msgspec.structs.asdict(spec)
        fields["name"] = f"{spec.name}@{'+'.join([*names, *([form] if form else [])])}"
        fields["label"] = ", ".join([spec.label, *names, *([chosen.label] if chosen else [])])
        fields["base"] = spec.base or spec.name
        fields["requires"] = [*spec.requires, *(chosen.requires if chosen else [])]
        fields["control"] = spec.control or (chosen is not None and chosen.control)
        return cls(
            **fields,
            interpreter=interpreter,
            form=form,
            arguments=chosen.arguments if chosen else [],
            transport=chosen.transport if chosen else "native",
            compiles=chosen.compiles if chosen else [],
        )

    @property
    def started_in(self) -> Path:
        """Where it is started: where the package is found, or its copy with what is compiled."""
        if self.compiles:
            return compiled(self._python(), self.compiles).place()
        return super().started_in

    def argv(self) -> list[str]:
        """Return the command that launches the contender."""
        if self.transport == "tcp":
            return programs_argv(self.base or self.name, [self])
        python, root = str(self._python()), str(self.directory)
        return expand([*self.command, *self.arguments], python=python, root=root)

    def node_argv(self) -> list[str]:
        """Return the command that launches its node program."""
        super().node_argv()
        python, root = str(self._python()), str(self.directory)
        return expand([*self.node, *self.arguments], python=python, root=root)

    def prepare(self) -> None:
        """Give the interpreter what it needs. Raises `Unavailable` where that cannot be had."""
        super().prepare()
        if self.interpreter is not None:
            self._python()
        elif missing := [name for name in self.requires if importlib.util.find_spec(name) is None]:
            raise Unavailable(
                f"needs {', '.join(missing)}; {how_to_install(missing[0])} installs it"
            )
        if self.compiles:
            compiled(self._python(), self.compiles).bring_up_to_date()

    def lacks(self) -> dict[str, str]:
        """Return the packages that it has to go without, each with the reason."""
        _, lacks = self._environment()
        return {package: lacks[package] for package in self.uses if package in lacks}

    def _python(self) -> Path:
        python, lacks = self._environment()
        for package in self.requires:
            if package in lacks:
                assert self.interpreter is not None
                raise Unavailable(
                    f"needs {package}, which is not to be had for Python "
                    f"{self.interpreter.name}: {lacks[package]}"
                )
        return python

    def _environment(self) -> Environment:
        packages = frozenset([*self.requires, *self.uses, *(NEEDED if self.compiles else [])])
        if self.interpreter is None or not packages:
            executable = sys.executable if self.interpreter is None else self.interpreter.executable
            return Environment(Path(executable), {})
        return environment(self.interpreter, packages)


class Mixture(ContenderSpec, frozen=True, kw_only=True):
    """A cluster whose nodes are programs of several contenders, `members`, in turn."""

    members: list[ContenderSpec]

    @property
    def transports(self) -> list[str]:
        """They are programs anyway."""
        return ["native", "tcp"]

    @classmethod
    def of(cls, members: Sequence[ContenderSpec]) -> Self:
        """Return a mixture, which looks like its first member but for its marker."""
        first = members[0]
        return cls(
            name=TCP + "+".join(each.name for each in members),
            label="mixed: " + ", ".join(each.name for each in members),
            command=first.command,
            color=first.color,
            marker="X",
            env={name: value for each in members for name, value in each.env.items()},
            members=list(members),
        )

    def argv(self) -> list[str]:
        """Return the command that launches the contender."""
        return programs_argv(self.name, self.members)

    def prepare(self) -> None:
        """Prepare every member."""
        for each in self.members:
            each.prepare()


def programs_argv(
    name: str, members: Sequence[ContenderSpec], elsewhere: Sequence[str] = ()
) -> list[str]:
    """Return the command of a contender whose nodes are these members' programs.

    They run here, or `elsewhere`, on other hosts: those are arguments of `raftmark.hosts` then.
    """
    programs = [[each.name, each.node_argv(), str(each.started_in)] for each in members]
    module = "raftmark.hosts" if elsewhere else "raftmark.programs"
    command = [sys.executable, "-m", module, *elsewhere]
    return [*command, name, msgspec.json.encode(programs).decode()]


class Deployed(ContenderSpec, frozen=True, kw_only=True):
    """A contender whose nodes are programs of their own, whatever form it has."""

    members: list[ContenderSpec]
    arguments: list[str]

    @property
    def elsewhere(self) -> bool:
        """Whether those run on other hosts."""
        return bool(self.arguments)

    def argv(self) -> list[str]:
        """Return the command that launches the contender."""
        return programs_argv(self.base or self.name, self.members, self.arguments)


def deployed(spec: ContenderSpec, elsewhere: Sequence[str] = ()) -> ContenderSpec:
    """Return a contender as it is deployed, here or `elsewhere`; itself, if it is so already."""
    if isinstance(spec, Deployed):
        return spec
    is_deployed = isinstance(spec, Mixture) or (
        isinstance(spec, Variant) and spec.transport == "tcp"
    )
    if is_deployed and not elsewhere:
        return spec
    members = spec.members if isinstance(spec, Mixture) else [spec]
    fields = {name: getattr(spec, name) for name in ContenderSpec.__struct_fields__}
    return Deployed(**fields, members=members, arguments=list(elsewhere))


class Contenders(Mapping[str, ContenderSpec]):
    """A table's contenders by name, and by theirs all variants: those are made when asked for.

    It counts and lists the table's own entries only. A variant's name refers to one of the
    `interpreters`, or else to one that is found by its version; `Unavailable` if there is none.
    """

    def __init__(
        self, table: Mapping[str, ContenderSpec], interpreters: Iterable[Interpreter] = ()
    ) -> None:
        self._table = table
        self._interpreters = {each.name: each for each in interpreters}

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, name: str) -> ContenderSpec:
        if name.startswith(TCP):
            return Mixture.of([self._member(each) for each in name.removeprefix(TCP).split("+")])
        base, at, variation = name.partition("@")
        spec = self._table[base]
        if not at:
            return spec if spec.command else deployed(spec)
        version, plus, form = variation.partition("+")
        if not plus and version in spec.forms:
            return Variant.of(spec, None, version)
        if not spec.is_python:
            raise UnknownName(f"{name} is no contender: {base} does not run on Python")
        if version not in self._interpreters:
            self._interpreters[version] = find(version)
        return Variant.of(spec, self._interpreters[version], form or None)

    def _member(self, name: str) -> ContenderSpec:
        base, at, form = name.partition("@")
        if base not in self._table:
            raise UnknownName(f"no contender {name}; choose from {', '.join(self)}")
        spec = self._table[base]
        return Variant.of(spec, None, form) if at else spec

    def usual(self) -> list[str]:
        """Return the names of the entries that take part where none are named: no controls."""
        return [name for name, spec in self._table.items() if not spec.control]

    def controls(self) -> list[str]:
        """Return the names of the controls: entries, and forms of entries."""
        return [
            name
            for spec in self._table.values()
            for name, control in (
                (spec.name, spec.control),
                *((f"{spec.name}@{form}", each.control) for form, each in spec.forms.items()),
            )
            if control
        ]

    def choose(self, names: Iterable[str]) -> dict[str, ContenderSpec]:
        """Return the named contenders in the table's order.

        Raises `UnknownName` for another name, and when none is named.
        """
        names = list(names)
        unknown = [
            name for name in names if _base(name) not in self._table and not name.startswith(TCP)
        ]
        if unknown or not names:
            raise UnknownName(
                f"no contender {', '.join(unknown) or 'named'}; choose from {', '.join(self)}"
            )
        chosen = {name: self[name] for name in names}
        places = {name: place for place, name in enumerate(self._table)}
        last = len(places)  # where mixtures come
        return dict(sorted(chosen.items(), key=lambda item: places.get(_base(item[0]), last)))

    def spread(self, chosen: Mapping[str, ContenderSpec]) -> dict[str, ContenderSpec]:
        """Return the chosen contenders, each followed by its variants on every interpreter."""
        spread: dict[str, ContenderSpec] = {}
        for name, spec in chosen.items():
            spread[name] = spec
            base, at, form = name.partition("@")
            if spec.is_python and (not at or form in spec.forms):
                for version in self._interpreters:
                    variant = self[f"{base}@{version}{'+' * bool(at)}{form}"]
                    spread.setdefault(variant.name, variant)
        return spread

    def forms(self) -> dict[str, ContenderSpec]:
        """Return every contender of the table, each followed by its other forms."""
        names = [
            name
            for spec in self._table.values()
            for name in (spec.name, *(f"{spec.name}@{form}" for form in spec.forms))
        ]
        return self.choose(names)


def _base(name: str) -> str:
    return name.partition("@")[0]


def find_interpreters(asked: Iterable[str]) -> tuple[list[Interpreter], list[str]]:
    """Find the interpreters that were asked for; the second list says which are not here.

    Raises `UnknownName` for what can be none. The running one is left out: the contenders run on it
    anyway, as they do for `auto`.
    """
    found, complaints = [], []
    for each in asked:
        try:
            if each != AUTO:
                found.append(find(each))
        except UnknownName:
            raise
        except Unavailable as reason:
            complaints.append(str(reason))
    return distinct([each for each in found if not each.is_running]), complaints
