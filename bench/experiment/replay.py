"""The log of a trial, read again: is it what the clients sent, and does it hash to what is said?

docs/protocol.md says which commands each client of a workload sends, so every entry is known before
it is read: its client and serial, its key and its value. What a log is made of is known in full,
too, and so are the hashes that the nodes report: they are computed here from what was read, by the
protocol's definition and by nothing of the contender's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, pairwise, repeat
from typing import Any

import numpy as np

from raftmark.bench.experiment.pages import ByColumns, ByEntries, Entry

MOST_PROBLEMS = 10


class _Session:
    """A client: its number, the serial that comes next, and its name as it is hashed.

    `following` is 0 as long as it is not known, `before` how many serials came before the log.
    """

    __slots__ = ("before", "encoded", "following", "number")

    def __init__(self, number: int, name: str, following: int) -> None:
        self.number = number
        self.following = following
        self.before = 0
        self.encoded = _encoded(None) + _encoded(name)  # `expect`, and then the client


class _Commands(dict[int, bytes]):
    """What clients send as it is hashed, but for terms and serials.

    By the key's number times the clients, and the client's number.
    """

    def __init__(self, heads: Sequence[bytes], tail: bytes, sessions: Sequence[_Session]) -> None:
        super().__init__()
        self._heads, self._tail, self._sessions = heads, tail, sessions

    def __missing__(self, number: int) -> bytes:
        key, client = divmod(number, len(self._sessions))
        self[number] = self._heads[key] + self._tail + self._sessions[client].encoded
        return self[number]


class Replay:
    """A log, page by page, against the workload that it should hold.

    It is whole, or a snapshot took the place of what was before `start`. Of that is known how many
    entries it were, and which serials: those before the first that the log has of each client, and
    a no-op of each leader. What they came to is in the state, and so in its hash.

    `repeated`: whether a client may have had to send a command again. `lone`: whether there may be
    commands of no client, each of which sets `key-0` to `x`. `first_indices`: where the nodes' logs
    begin, so that the hash of each is computed.
    """

    def __init__(
        self,
        workload: Mapping[str, Any],
        clients: int,
        *,
        repeated: bool = False,
        lone: bool = False,
        first_indices: Iterable[int] = (1,),
        start: int = 1,
    ) -> None:
        self.index, self.term = start - 1, 0
        self._start, self._first_term, self._index_before = start, 0, start - 1
        self.problems: list[str] = []
        self.broken = False
        self._repeated = repeated
        self._lone = lone
        self._names = [f"{workload.get('session', 'client')}-{n}" for n in range(clients)]
        following = 1 if start == 1 else 0
        self._sessions = {name: _Session(n, name, following) for n, name in enumerate(self._names)}
        self._keys = [f"key-{m}" for m in range(workload.get("keys", 1))]
        self._key_numbers = {key: number for number, key in enumerate(self._keys)}
        self._value = "x" * workload.get("payload", 0)
        self._data: dict[str, str] = {}
        # What clients of earlier loads had sent last, by their names.
        self._ended: dict[str, int] = {}
        self._digests = {first: hashlib.sha256() for first in first_indices}
        # Commands repeat their strings, and a log is long.
        self._heads = [_encoded("set") + _encoded(key) for key in self._keys]
        self._tail = _encoded(self._value)
        self._commands = _Commands(self._heads, self._tail, list(self._sessions.values()))

    @property
    def taken(self) -> int:
        """How many entries have been taken, of the last load's."""
        return self.index - self._index_before

    def gone_on_with(self, workload: Mapping[str, Any], clients: int) -> Replay:
        """Return the log as another load goes on with it, whose clients are others.

        It takes this one's place: both hash what follows.
        """
        other = Replay(workload, clients)
        other.index = other._index_before = self.index
        other.term, other._first_term = self.term, self._first_term
        other._data, other._digests = self._data, self._digests
        other._ended = self._ended | self._last_serials()
        return other

    @property
    def stopped(self) -> bool:
        """Whether so much is wrong that nothing more need be read."""
        return self.broken or len(self.problems) >= MOST_PROBLEMS

    def take_page(self, page: ByColumns | ByEntries) -> None:
        """Go on with a page of the log; what is wrong with it is in `problems`.

        Raises `ContenderFailed` where it is none.
        """
        if not (isinstance(page, ByColumns) and self._take_regular(page)):
            self.take(page.entries())

    def _take_regular(self, page: ByColumns) -> bool:
        """Take a page in which all is as it should be, column by column; False where it is not.

        Nothing is taken then: what is wrong, or only rare, is for `take` to say. The rules are the
        same, for all entries at once, which takes a tenth of the time.
        """
        columns, count = page.columns, page.count
        known = [self._sessions.get(name or "") for name in columns.client.values]
        keys = [self._key_numbers.get(key) for key in columns.key.values]
        if (
            not count
            or page.first_index != self.index + 1
            or any(self.index + 1 < first <= self.index + count for first in self._digests)
            or not columns.op.is_all("set")
            or not columns.value.is_all(self._value)
            or not columns.expect.is_all(None)
            or not columns.term.values
            or not columns.term.is_all(columns.term.values[0])
            or columns.term.values[0] < self.term
        ):
            return False
        sessions = [session for session in known if session is not None]
        numbers = [number for number in keys if number is not None]
        if len(sessions) < len(known) or len(numbers) < len(keys):
            return False
        client_at, key_at, serial_at = (
            np.asarray(column.places(count))
            for column in (columns.client, columns.key, columns.serial)
        )
        serial = np.asarray(columns.serial.values, np.uint64)[serial_at]
        # Each client's serials, in the order of the log, go on from its last one, one by one.
        order = np.argsort(client_at, kind="stable")
        begins = np.flatnonzero(np.diff(client_at[order], prepend=-1))
        whose = client_at[order][begins]
        lengths = np.diff([*begins, count])
        following = np.asarray([sessions[who].following for who in whose], np.uint64)
        if not following.all():
            return False
        rank = np.arange(count, dtype=np.uint64) - np.repeat(begins, lengths).astype(np.uint64)
        if not np.array_equal(serial[order], np.repeat(following, lengths) + rank):
            return False
        client = np.asarray([session.number for session in sessions], np.uint64)[client_at]
        due = (client + serial * np.uint64(len(self._sessions))) % np.uint64(len(self._keys))
        if not np.array_equal(due, np.asarray(numbers, np.uint64)[key_at]):
            return False
        for who, length in zip(whose, lengths, strict=True):
            sessions[who].following += int(length)
        self._data.update(dict.fromkeys(columns.key.values, self._value))
        self._go_on(columns.term.values[0])
        self.index += count
        digests = [digest for first, digest in self._digests.items() if first <= self.index]
        if digests:
            commands = np.asarray(numbers)[key_at] * len(self._sessions) + client.astype(int)
            serials = [_integer(value) for value in columns.serial.values]
            entries = zip(
                repeat(_integer(self.term)),
                map(self._commands.__getitem__, commands.tolist()),
                map(serials.__getitem__, serial_at.tolist()),
                strict=False,
            )
            hashed = b"".join(chain.from_iterable(entries))
            for digest in digests:
                digest.update(hashed)
        return True

    def _go_on(self, term: int) -> None:
        """Note the term of an entry, which is no lower than the one before."""
        if term > self.term:
            self._first_term = self._first_term or term
            self.term = term

    def take(self, page: Sequence[Entry]) -> None:
        """Go on with the next entries of the log; what is wrong with them is in `problems`."""
        cuts = sorted(
            first - self.index - 1
            for first in self._digests
            if 0 < first - self.index - 1 < len(page)
        )
        for start, end in pairwise([0, *cuts, len(page)]):
            self._take(page[start:end])

    def _take(self, entries: Sequence[Entry]) -> None:
        sessions, keys, heads, tail = self._sessions, self._keys, self._heads, self._tail
        stride, count, value, data = len(sessions), len(keys), self._value, self._data
        digests = [d for first, d in self._digests.items() if first <= self.index + 1]
        pieces: list[bytes] = []
        term = self.term.to_bytes(8, "little")
        for entry in entries:
            if self.stopped:
                return
            number, its_term, op, key, its_value, expect, client, serial = entry
            self.index += 1
            if number != self.index or its_term < self.term:
                self.problems.append(
                    f"the log has index {number}, term {its_term} "
                    f"where index {self.index} and at least term {self.term} belong"
                )
                self.broken = True
                return
            if its_term > self.term:
                self._go_on(its_term)
                term = _integer(its_term)
            session = None if client is None else sessions.get(client)
            if session is None:
                self._take_lone(entry)
                pieces += (term, _hashed(entry))
                continue
            m = (session.number + serial * stride) % count
            if not session.following and serial:
                session.before, session.following = serial - 1, serial
            if serial == session.following:
                session.following = serial + 1
                data[keys[m]] = value
            elif not (self._repeated and 0 < serial < session.following):
                self._report(f"has serial {serial} of {client} where {session.following} belongs")
            if key != keys[m] or its_value != value or op != "set" or expect is not None:
                self._report(f"is not what {client} sent with serial {serial}")
            pieces += (term, heads[m], tail, session.encoded, serial.to_bytes(8, "little"))
        hashed = b"".join(pieces)
        for digest in digests:
            digest.update(hashed)

    def _take_lone(self, entry: Entry) -> None:
        _, _, op, key, value, *_ = entry
        if entry.client is not None:
            self._report(f"has serial {entry.serial} of {entry.client} that nobody sent")
        elif (op, key, value) == ("set", "key-0", "x") and self._lone:
            self._data["key-0"] = "x"
        elif entry != Entry(entry.number, entry.term, "noop"):
            self._report(f"has a command '{op[:20]}' that nobody sent")

    def _report(self, problem: str) -> None:
        self.problems.append(f"index {self.index} {problem}")

    def end(self, acknowledged: Sequence[int]) -> list[str]:
        """Return what is wrong with the log, which has been taken to its end."""
        if self._start > 1:
            self._look_before(acknowledged)
        for name, last in zip(self._names, acknowledged, strict=False):
            found = self._sessions[name].following - 1
            if found < last:
                self.problems.append(
                    f"{name} had serial {last} acknowledged, but the log has {found}"
                )
        return self.problems

    def _look_before(self, acknowledged: Sequence[int]) -> None:
        """Hold what a snapshot took the place of against the serials that it must have had."""
        for name, last in zip(self._names, acknowledged, strict=False):
            session = self._sessions[name]
            if not session.following:
                session.before, session.following = last, last + 1
        gone = self._start - 1
        commands = sum(session.before for session in self._sessions.values())
        # A leader begins with a no-op, and no term has two leaders.
        if not 1 <= gone - commands <= max(1, self._first_term):
            self.problems.append(
                f"a snapshot took the place of {gone} entries, where clients had sent {commands}"
            )
            return
        stride, count = len(self._sessions), len(self._keys)
        for session in self._sessions.values():
            for serial in range(1, min(session.before, count) + 1):
                self._data[self._keys[(session.number + serial * stride) % count]] = self._value

    def log_hash(self, first_index: int) -> str:
        """Return the `log_hash` of a node whose log begins there."""
        return self._digests[first_index].hexdigest()

    def state_hash(self) -> str:
        """Return the `state_hash` of a node that has applied all that was read."""
        # Strings sort by code point, which is the order of their UTF-8 bytes too.
        pieces = [_integer(len(self._data))]
        for key in sorted(self._data):
            pieces += (_encoded(key), _encoded(self._data[key]))
        last = self._ended | self._last_serials()
        pieces.append(_integer(len(last)))
        for name in sorted(last):
            pieces += (_encoded(name), _integer(last[name]))
        return hashlib.sha256(b"".join(pieces)).hexdigest()

    def _last_serials(self) -> dict[str, int]:
        """Return what each client that has sent anything sent last, by its name."""
        return {name: s.following - 1 for name, s in self._sessions.items() if s.following > 1}


def _hashed(entry: Entry) -> bytes:
    _, _, *texts, serial = entry
    return b"".join(map(_encoded, texts)) + _integer(serial)


def _encoded(text: str | None) -> bytes:
    if text is None:
        return b"\xff\xff\xff\xff"
    data = text.encode()
    return len(data).to_bytes(4, "little") + data


def _integer(value: int) -> bytes:
    return value.to_bytes(8, "little")
