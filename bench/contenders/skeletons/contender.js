// A contender for Raftmark in one file, with nothing but Node.js: all nodes on one event loop, their
// messages passed as objects. It elects, replicates, and runs two workloads. It keeps its log in
// memory, and takes no snapshots. See docs/protocol.md for every name and number here.
"use strict";

const crypto = require("node:crypto");

const NAME = "NAME";
const FEATURES = ["memory", "replicate", "election"];
const LONGEST_LINE = 1 << 20;
const PAGE = 5000;
const BATCH = 1024;
const SETTLE_MS = 30_000;

const nowNs = () => Number(process.hrtime.bigint());

class RequestError extends Error {
  constructor(code, message, more = {}) {
    super(message);
    this.answer = { code, message, ...more };
  }
}

const refuse = (code, message, more) => {
  throw new RequestError(code, message, more);
};

// Random numbers that a seed determines: mulberry32.
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// What is hashed: docs/protocol.md, "Hashes".
function hashText(hash, text) {
  const bytes = text === null || text === undefined ? null : Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes === null ? 2 ** 32 - 1 : bytes.length);
  hash.update(length);
  if (bytes !== null) hash.update(bytes);
}

function hashNumber(hash, number) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(number));
  hash.update(bytes);
}

function hashEntry(hash, { term, command }) {
  hashNumber(hash, term);
  const key = command.op === "noop" ? "" : command.key;
  for (const text of [command.op, key, command.value, command.expect, command.client]) {
    hashText(hash, text);
  }
  hashNumber(hash, command.serial ?? 0);
}

const inByteOrder = (map) =>
  [...map].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

// The key-value store with its client sessions: a repeated serial gets the first one's result.
class StateMachine {
  constructor() {
    this.values = new Map();
    this.sessions = new Map();
  }

  apply(command) {
    const { client, serial } = command;
    const last = client === undefined ? undefined : this.sessions.get(client);
    if (last !== undefined && serial <= last.serial) {
      if (serial === last.serial) return last.result;
      return new RequestError("bad_request", `serial ${serial} is lower than the session's last`);
    }
    const result = this.change(command);
    if (client !== undefined) this.sessions.set(client, { serial, result });
    return result;
  }

  change({ op, key, value, expect }) {
    const present = this.values.get(key) ?? null;
    if (op === "get") return present;
    if (op === "cas" && present !== expect) return false;
    if (op === "cas" || op === "set") this.values.set(key, value);
    return op === "cas" ? true : null;
  }

  hash() {
    const hash = crypto.createHash("sha256");
    hashNumber(hash, this.values.size);
    for (const [key, value] of inByteOrder(this.values)) {
      hashText(hash, key);
      hashText(hash, value);
    }
    hashNumber(hash, this.sessions.size);
    for (const [client, { serial }] of inByteOrder(this.sessions)) {
      hashText(hash, client);
      hashNumber(hash, serial);
    }
    return hash.digest("hex");
  }
}

// One server of the cluster, by the rules of figure 2 of the Raft paper. Its term, vote and log
// survive a crash; all else is made anew by `wake`.
class Node {
  constructor(cluster, id) {
    this.cluster = cluster;
    this.id = id;
    this.term = 0;
    this.votedFor = null;
    this.log = []; // the entry with index i is log[i - 1]
    this.counters = { messages: 0, bytes: null, saves: 0, save_ns: 0, entries: 0 };
    this.wake();
  }

  wake() {
    this.alive = true;
    this.commitIndex = this.appliedIndex = 0;
    this.machine = new StateMachine();
    this.logHash = crypto.createHash("sha256");
    this.hashedIndex = 0;
    this.waiting = new Map(); // index → who waits for what is applied there
    this.proposed = []; // in this turn
    this.become("follower", null);
    this.restartTimer();
  }

  crash() {
    this.alive = false;
    this.stopTimers();
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { done } of waiting) {
      done(new RequestError("timeout", "the node ceased; whether it will be applied is unknown"));
    }
  }

  stopTimers() {
    clearTimeout(this.electionTimer);
    clearInterval(this.heartbeatTimer);
  }

  // Any leader known is of the present term, so that a change of one is a change to be told.
  become(role, leader) {
    this.role = role;
    this.leader = leader;
    if (role !== "leader") clearInterval(this.heartbeatTimer);
    this.cluster.announce(this);
  }

  get lastIndex() {
    return this.log.length;
  }

  termAt(index) {
    return index === 0 ? 0 : this.log[index - 1].term;
  }

  // -- elections

  restartTimer() {
    clearTimeout(this.electionTimer);
    const [low, high] = this.cluster.electionTimeoutMs;
    const wait = low + this.cluster.random() * (high - low);
    this.electionTimer = setTimeout(() => this.stand(), wait);
  }

  stand() {
    this.term += 1;
    this.votedFor = this.id;
    this.votes = new Set([this.id]);
    this.become("candidate", null);
    this.restartTimer();
    const lastTerm = this.termAt(this.lastIndex);
    this.toAll({ type: "requestVote", term: this.term, lastIndex: this.lastIndex, lastTerm });
    this.countVotes();
  }

  countVotes() {
    if (this.role !== "candidate" || this.votes.size < this.cluster.majority) return;
    clearTimeout(this.electionTimer);
    this.peers = new Map(
      this.cluster.others(this.id).map((id) => [id, { next: this.lastIndex + 1, match: 0 }]),
    );
    this.become("leader", this.id);
    this.append([{ term: this.term, command: { op: "noop" } }]);
    this.heartbeatTimer = setInterval(() => this.heartbeat(), this.cluster.heartbeatMs);
  }

  observe(term) {
    if (term <= this.term) return;
    const led = this.role === "leader";
    this.term = term;
    this.votedFor = null;
    this.become("follower", null);
    if (led) this.restartTimer();
  }

  requestVote(from, { term, lastIndex, lastTerm }) {
    const ownTerm = this.termAt(this.lastIndex);
    const upToDate = lastTerm > ownTerm || (lastTerm === ownTerm && lastIndex >= this.lastIndex);
    const free = this.votedFor === null || this.votedFor === from;
    const granted = term === this.term && free && upToDate;
    if (granted) {
      this.votedFor = from;
      this.restartTimer();
    }
    this.send(from, { type: "vote", term: this.term, granted });
  }

  vote(from, { term, granted }) {
    if (term !== this.term || this.role !== "candidate" || !granted) return;
    this.votes.add(from);
    this.countVotes();
  }

  // -- replication

  // Commands of one turn are one append, and one message to each follower.
  propose(command, done) {
    if (this.proposed.length === 0) setImmediate(() => this.appendProposed());
    this.proposed.push({ command, done });
  }

  appendProposed() {
    const proposed = this.proposed;
    this.proposed = [];
    if (!this.alive || this.role !== "leader") {
      const error = new RequestError("not_leader", "it leads no longer", { leader: this.leader });
      for (const { done } of proposed) done(error);
      return;
    }
    proposed.forEach(({ done }, place) => {
      this.waiting.set(this.lastIndex + 1 + place, { term: this.term, done });
    });
    this.append(proposed.map(({ command }) => ({ term: this.term, command })));
  }

  append(entries) {
    const began = nowNs();
    for (const entry of entries) this.log.push(entry);
    this.counters.saves += 1;
    this.counters.save_ns += nowNs() - began;
    this.counters.entries += entries.length;
    for (const [id, peer] of this.peers) if (!peer.asked) this.replicateTo(id, peer);
    this.advance();
  }

  heartbeat() {
    for (const [id, peer] of this.peers) this.replicateTo(id, peer);
  }

  replicateTo(id, peer) {
    const previous = peer.next - 1;
    peer.asked = true;
    this.send(id, {
      type: "appendEntries",
      term: this.term,
      previous,
      previousTerm: this.termAt(previous),
      entries: this.log.slice(previous, previous + BATCH),
      commit: this.commitIndex,
    });
  }

  appendEntries(from, { term, previous, previousTerm, entries, commit }) {
    if (term < this.term) {
      this.send(from, { type: "appended", term: this.term, success: false, index: 0 });
      return;
    }
    if (this.role !== "follower" || this.leader !== from) this.become("follower", from);
    this.restartTimer();
    if (previous > this.lastIndex || this.termAt(previous) !== previousTerm) {
      this.send(from, { type: "appended", term, success: false, index: this.lacks(previous) });
      return;
    }
    entries.forEach((entry, place) => {
      const index = previous + 1 + place;
      if (index <= this.lastIndex && this.termAt(index) !== entry.term) this.log.length = index - 1;
      if (index > this.lastIndex) this.log.push(entry);
    });
    const index = previous + entries.length;
    this.commit(Math.min(commit, index));
    this.send(from, { type: "appended", term, success: true, index });
  }

  // The first index of the term that conflicts, or the first that is not there.
  lacks(previous) {
    if (previous > this.lastIndex) return this.lastIndex + 1;
    let index = previous;
    while (index > 1 && this.termAt(index - 1) === this.termAt(previous)) index -= 1;
    return index;
  }

  appended(from, { term, success, index }) {
    if (term !== this.term || this.role !== "leader") return;
    const peer = this.peers.get(from);
    peer.asked = false;
    if (success) {
      peer.match = Math.max(peer.match, index);
      peer.next = Math.max(peer.next, peer.match + 1);
      this.advance();
    } else {
      peer.next = Math.max(peer.match + 1, Math.min(index, peer.next - 1));
    }
    if (peer.next <= this.lastIndex || !success) this.replicateTo(from, peer);
  }

  // What a majority has is committed if it is of the present term (figure 8 of the paper).
  advance() {
    const matches = [this.lastIndex, ...[...this.peers.values()].map((peer) => peer.match)];
    const index = matches.sort((a, b) => b - a)[this.cluster.majority - 1];
    if (index > this.commitIndex && this.termAt(index) === this.term) this.commit(index);
  }

  commit(index) {
    this.commitIndex = Math.max(this.commitIndex, index);
    while (this.appliedIndex < this.commitIndex) {
      this.appliedIndex += 1;
      const { term, command } = this.log[this.appliedIndex - 1];
      const result = this.machine.apply(command);
      const waiter = this.waiting.get(this.appliedIndex);
      if (waiter === undefined) continue;
      this.waiting.delete(this.appliedIndex);
      const lost = new RequestError("lost", "another leader's entry took its index");
      const applied = result instanceof Error ? result : { index: this.appliedIndex, term, result };
      waiter.done(waiter.term === term ? applied : lost);
    }
  }

  // -- messages

  toAll(message) {
    for (const id of this.cluster.others(this.id)) this.send(id, message);
  }

  send(to, message) {
    this.counters.messages += 1;
    this.cluster.post(this.id, to, message);
  }

  receive(from, message) {
    this.observe(message.term);
    this[message.type](from, message);
  }

  status() {
    const { id, alive } = this;
    const known = {
      role: this.role,
      term: this.term,
      leader: this.leader,
      voted_for: this.votedFor,
      last_index: this.lastIndex,
      commit_index: this.commitIndex,
      applied_index: this.appliedIndex,
      first_index: 1,
      snapshot_index: 0,
      voters: this.cluster.ids,
      learners: [],
      state_hash: this.machine.hash(),
      log_hash: this.hashOfLog(),
    };
    if (!alive) for (const field of Object.keys(known)) known[field] = null;
    return { id, alive, paused: false, ...known };
  }

  hashOfLog() {
    for (; this.hashedIndex < this.commitIndex; this.hashedIndex += 1) {
      hashEntry(this.logHash, this.log[this.hashedIndex]);
    }
    return this.logHash.copy().digest("hex");
  }
}

class Cluster {
  constructor({ nodes, election_timeout_ms, heartbeat_ms, seed }) {
    this.electionTimeoutMs = election_timeout_ms;
    this.heartbeatMs = heartbeat_ms;
    this.random = generator(seed);
    this.ids = Array.from({ length: nodes }, (_, place) => place + 1);
    this.majority = Math.floor(nodes / 2) + 1;
    this.mail = [];
    this.cut = new Set(); // ways `from>to` that no message takes
    this.watchers = new Set();
    this.nodes = new Map();
    for (const id of this.ids) this.nodes.set(id, new Node(this, id));
  }

  others(id) {
    return this.ids.filter((other) => other !== id);
  }

  node(id) {
    return this.nodes.get(id) ?? refuse("bad_request", `there is no node ${id}`);
  }

  running(id) {
    const node = this.node(id);
    return node.alive ? node : refuse("unavailable", `node ${id} is crashed`);
  }

  leader() {
    const leads = [...this.nodes.values()].filter((node) => node.alive && node.role === "leader");
    return leads.sort((a, b) => b.term - a.term)[0];
  }

  // One leader, all nodes alive and following it with the same log.
  settled() {
    const leader = this.leader();
    const alike = (node) =>
      node.alive &&
      node.leader === leader.id &&
      node.term === leader.term &&
      node.lastIndex === leader.lastIndex &&
      node.appliedIndex === leader.lastIndex;
    return leader !== undefined && [...this.nodes.values()].every(alike) ? leader : undefined;
  }

  announce(node) {
    const { id, role, term, leader } = node;
    const event = { event: "role", node: id, role, term, leader, at_ns: nowNs() };
    print(event);
    for (const watch of this.watchers) watch(event);
  }

  post(from, to, message) {
    if (this.cut.has(`${from}>${to}`)) return;
    if (this.mail.length === 0) setImmediate(() => this.deliver());
    this.mail.push({ from, to, message });
  }

  deliver() {
    const mail = this.mail;
    this.mail = [];
    for (const { from, to, message } of mail) {
      const node = this.nodes.get(to);
      if (node.alive) node.receive(from, message);
    }
  }

  stop() {
    this.stopped = true;
    for (const node of this.nodes.values()) if (node.alive) node.crash();
  }
}

// -- workloads

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(cluster, capMs, condition) {
  for (const deadline = nowNs() + capMs * 1e6; nowNs() < deadline; await sleep(1)) {
    if (cluster.stopped) refuse("unavailable", "the cluster was stopped");
    const found = condition();
    if (found) return found;
  }
  return undefined;
}

const submitted = (node, command) =>
  new Promise((resolve) => node.propose(command, resolve));

// Buckets of 128 to the octave, as in an HDR histogram.
function bucketOf(value) {
  const width = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(1, value))) - 7);
  return Math.floor(value / width) * width;
}

async function replicate(cluster, spec, progress) {
  const leader = await until(cluster, SETTLE_MS, () => cluster.settled());
  if (leader === undefined) refuse("unavailable", "the cluster did not settle");
  const { outstanding, payload, keys, session } = spec;
  const value = "x".repeat(payload);
  const began = nowNs();
  const warm = began + spec.warmup_s * 1e9;
  const acknowledged = new Array(outstanding).fill(0);
  const latencies = new Map();
  const slices = [];
  let started = null;
  let ended = null;
  let before, after, failure;
  let inSlice = 0;
  let mark = 0;

  function record(sent, now) {
    if (ended !== null) return;
    if (started === null) {
      if (now < warm) return;
      started = now;
      before = { ...leader.counters };
      mark = now + 1e8;
      return;
    }
    const bucket = bucketOf(now - sent);
    latencies.set(bucket, (latencies.get(bucket) ?? 0) + 1);
    inSlice += 1;
    const over = now >= started + spec.duration_s * 1e9;
    if (now < mark && !over) return;
    slices.push([now - started, inSlice]);
    inSlice = 0;
    mark = now + 1e8;
    progress(Math.min(1, (now - began) / ((spec.warmup_s + spec.duration_s) * 1e9)));
    if (over) {
      ended = now;
      after = { ...leader.counters };
    }
  }

  const client = (number) =>
    new Promise((resolve) => {
      const next = (serial, sent) => {
        const key = `key-${(number + serial * outstanding) % keys}`;
        const command = { op: "set", key, value, client: `${session}-${number}`, serial };
        leader.propose(command, (answer) => {
          const now = nowNs();
          if (answer instanceof Error) failure = answer;
          else acknowledged[number] = serial;
          if (failure === undefined) record(sent, now);
          // From the moment of the answer on, so that latencies fill the time.
          if (failure === undefined && ended === null) next(serial + 1, now);
          else resolve();
        });
      };
      next(1, nowNs());
    });

  await Promise.all(acknowledged.map((_, number) => client(number)));
  if (failure !== undefined) refuse("unavailable", `the load ended: ${failure.message}`);
  const counters = { ...after };
  for (const name of ["messages", "saves", "save_ns", "entries"]) counters[name] -= before[name];
  return {
    workload: "replicate",
    node: leader.id,
    client: "a callback on the event loop",
    started_ns: started,
    ended_ns: ended,
    commands: slices.reduce((sum, [, count]) => sum + count, 0),
    latency_ns: [...latencies].sort(([a], [b]) => a - b),
    slices,
    acknowledged,
    counters,
  };
}

async function election(cluster, spec, progress) {
  const minority = cluster.ids.length - cluster.majority;
  if (cluster.ids.length < 3) refuse("bad_request", "an election needs three nodes or more");
  if (spec.lagging > minority) refuse("bad_request", `only ${minority} may lag`);
  const elections = [];
  while (elections.length < spec.elections) {
    const leader = await until(cluster, spec.cap_s * 1e3, () => cluster.settled());
    if (leader === undefined) refuse("unavailable", "the cluster did not settle");
    const record = await crashAndWatch(cluster, leader, spec);
    if (record !== undefined) elections.push(record);
    if (record?.leader === null) break;
    progress(elections.length / spec.elections);
  }
  return { workload: "election", elections };
}

async function crashAndWatch(cluster, leader, spec) {
  const { id: crashed, term } = leader;
  const survivors = cluster.others(crashed);
  const lagging = survivors
    .map((id) => [cluster.random(), id])
    .sort(([a], [b]) => a - b)
    .slice(0, spec.lagging)
    .map(([, id]) => id)
    .sort();
  const changes = [];
  const watch = (event) => changes.push(event);
  cluster.watchers.add(watch);
  try {
    leader.heartbeat();
    const next = nowNs() + cluster.heartbeatMs * 1e6;
    for (const id of lagging) cluster.cut.add(`${crashed}>${id}`);
    if (lagging.length > 0) {
      const answer = await submitted(leader, { op: "set", key: "key-0", value: "x" });
      if (answer instanceof Error) return undefined;
    }
    await sleep((cluster.random() * Math.max(0, next - nowNs())) / 1e6);
    if (cluster.stopped) refuse("unavailable", "the cluster was stopped");
    if (leader.role !== "leader" || leader.term !== term) return undefined;
    const crash = nowNs();
    leader.crash();
    cluster.cut.clear();
    const agreed = () => {
      const [first, ...others] = survivors.map((id) => cluster.nodes.get(id));
      const follow = (node) => node.leader === first.leader && node.term === first.term;
      return first.leader !== null && first.term > term && others.every(follow) ? first : undefined;
    };
    const final = await until(cluster, spec.cap_s * 1e3, agreed);
    const stood = changes.filter(({ role }) => role === "candidate");
    if (stood.some(({ at_ns }) => at_ns < crash)) return undefined;
    const told = changes.filter((c) => c.term === final?.term && c.leader === final?.leader);
    return {
      crashed,
      term,
      crash_ns: crash,
      candidate_ns: stood[0]?.at_ns ?? null,
      leader_ns: told.find(({ role }) => role === "leader")?.at_ns ?? null,
      settled_ns: final ? Math.max(...told.map(({ at_ns }) => at_ns)) : null,
      leader: final?.leader ?? null,
      leader_term: final?.term ?? null,
      candidacies: stood.length,
      lagging,
    };
  } finally {
    cluster.watchers.delete(watch);
    cluster.cut.clear();
    if (!leader.alive && !cluster.stopped) leader.wake();
  }
}

// -- requests

const integer = (low, high) => (value) =>
  Number.isSafeInteger(value) && value >= low && value <= high;
const number = (low, high) => (value) =>
  typeof value === "number" && value >= low && value <= high;
const text = (low, high) => (value) => {
  if (typeof value !== "string" || !value.isWellFormed()) return false;
  const bytes = Buffer.byteLength(value);
  return bytes >= low && bytes <= high;
};
const oneOf = (...values) => (value) => values.includes(value);
const names = (table, name) => typeof name === "string" && Object.hasOwn(table, name);
const range = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(number(1, 60_000)) &&
  value[0] <= value[1];
const object = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

const NODE = { node: [integer(1, 9)] };
const KEY = [text(0, 1 << 16)];
const VALUE = [text(0, 1 << 19)];
const COMMANDS = {
  set: { key: KEY, value: VALUE },
  get: { key: KEY },
  cas: { key: KEY, expect: [(value) => value === null || text(0, 1 << 19)(value)], value: VALUE },
};
const REPLICATE = {
  outstanding: [integer(1, 4096), 64],
  payload: [integer(0, 65_536), 64],
  keys: [integer(1, 1_000_000), 1000],
  session: [text(1, 64), "client"],
  warmup_s: [number(0, 3600), 0.5],
  duration_s: [number(0.001, 3600), 2],
};
const ELECTION = {
  elections: [integer(1, 100_000), 10],
  lagging: [integer(0, 4), 0],
  cap_s: [number(0.001, 3600), 30],
};
const WORKLOADS = { replicate: [replicate, REPLICATE], election: [election, ELECTION] };

// The fields of `asked` that `known` lists, each [its check, its default]: without one it has to be
// there. `also` are fields that are read elsewhere.
function fields(asked, known, also = []) {
  if (!object(asked)) refuse("bad_request", "it is no object");
  const found = {};
  for (const name of Object.keys(asked)) {
    if (!Object.hasOwn(known, name) && !also.includes(name)) {
      refuse("bad_request", `unknown field ${name}`);
    }
  }
  for (const [name, [check, ...otherwise]] of Object.entries(known)) {
    if (Object.hasOwn(asked, name)) {
      found[name] = check(asked[name]) ? asked[name] : refuse("bad_request", `${name} is wrong`);
    } else if (otherwise.length > 0) {
      [found[name]] = otherwise;
    } else {
      refuse("bad_request", `${name} is missing`);
    }
  }
  return found;
}

let cluster = null;
let running = false;

const present = () => cluster ?? refuse("unavailable", "no cluster is running");
const request = (asked, known) => fields(asked, known, ["id", "op"]);

const OPERATIONS = {
  hello(asked) {
    request(asked, {});
    const runtime = { name: "Node.js", version: process.versions.node };
    const language = "JavaScript";
    return { contender: NAME, protocol: 1, language, runtime, features: FEATURES };
  },

  start(asked) {
    const settings = request(asked, {
      nodes: [integer(1, 9), 3],
      election_timeout_ms: [range, [150, 300]],
      heartbeat_ms: [number(0.5, 60_000), 50],
      storage: [oneOf("memory"), "memory"],
      transport: [oneOf("native"), "native"],
      seed: [(value) => Number.isInteger(value) && value >= 0 && value < 2 ** 63, 0],
    });
    if (cluster !== null) refuse("bad_request", "a cluster is running already");
    cluster = new Cluster(settings);
    return { nodes: cluster.ids };
  },

  status(asked) {
    request(asked, {});
    return { nodes: [...present().nodes.values()].map((node) => node.status()) };
  },

  submit(asked) {
    const { command, ...more } = request(asked, {
      command: [object],
      node: [integer(1, 9), null],
      client: [text(0, 1 << 16), null],
      serial: [integer(1, Number.MAX_SAFE_INTEGER), null],
      timeout_ms: [number(1, 600_000), 5000],
    });
    const known = names(COMMANDS, command.op) ? COMMANDS[command.op] : null;
    if (known === null) refuse("bad_request", "the command's op is none of set, get and cas");
    const whole = { op: command.op, ...fields(command, known, ["op"]) };
    if ((more.client === null) !== (more.serial === null)) {
      refuse("bad_request", "client and serial go together");
    }
    if (more.client !== null) Object.assign(whole, { client: more.client, serial: more.serial });
    const asking = present();
    const node = more.node === null ? asking.leader() : asking.running(more.node);
    if (node === undefined) refuse("unavailable", "no leader is known");
    if (node.role !== "leader") {
      refuse("not_leader", `node ${node.id} does not lead`, { leader: node.leader });
    }
    return new Promise((resolve, reject) => {
      const late = new RequestError("timeout", "not in time; it may still be applied");
      const timer = setTimeout(() => reject(late), more.timeout_ms);
      node.propose(whole, (answer) => {
        clearTimeout(timer);
        if (answer instanceof Error) reject(answer);
        else resolve(answer);
      });
    });
  },

  log(asked) {
    const largest = Number.MAX_SAFE_INTEGER;
    const bounds = { from: [integer(1, largest), 1], to: [integer(1, largest), null] };
    const { node: id, from, to } = request(asked, { ...NODE, ...bounds });
    const { log, lastIndex, commitIndex } = present().running(id);
    const end = Math.min(to ?? lastIndex, from + PAGE - 1);
    const entries = log
      .slice(from - 1, Math.max(from - 1, end))
      .map(({ term, command }, place) => ({ index: from + place, term, command }));
    return { entries, last_index: lastIndex, commit_index: commitIndex };
  },

  crash(asked) {
    const { node: id } = request(asked, NODE);
    const node = present().node(id);
    if (!node.alive) refuse("bad_request", `node ${id} is crashed already`);
    node.crash();
    return { at_ns: nowNs() };
  },

  restart(asked) {
    const { node: id } = request(asked, NODE);
    const node = present().node(id);
    if (node.alive) refuse("bad_request", `node ${id} runs`);
    node.wake();
    return {};
  },

  async run(asked) {
    const { workload } = request(asked, { workload: [object] });
    if (!names(WORKLOADS, workload.name)) refuse("bad_request", "no such workload");
    const [measure, known] = WORKLOADS[workload.name];
    const spec = fields(workload, known, ["name"]);
    const measured = present();
    if (running) refuse("bad_request", "a workload is running already");
    running = true;
    try {
      const progress = (done) => print({ event: "progress", run: asked.id, done });
      return await measure(measured, spec, progress);
    } finally {
      running = false;
    }
  },

  stop(asked) {
    request(asked, {});
    present().stop();
    cluster = null;
    return {};
  },

  quit(asked) {
    request(asked, {});
    cluster?.stop();
    setImmediate(() => process.stdout.write("", () => process.exit(0)));
    return {};
  },
};

function print(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

async function answer(line) {
  let id = null;
  try {
    let asked;
    try {
      asked = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(line));
    } catch {
      refuse("bad_request", "it is no JSON");
    }
    if (!object(asked)) refuse("bad_request", "it is no object");
    if (!integer(0, Number.MAX_SAFE_INTEGER)(asked.id)) refuse("bad_request", "it has no id");
    id = asked.id;
    if (!names(OPERATIONS, asked.op)) refuse("bad_request", "unknown op");
    const made = OPERATIONS[asked.op](asked);
    print({ id, ok: made instanceof Promise ? await made : made });
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    print({ id, error: error.answer });
  }
}

// Lines of standard input, of which no more is kept than the longest may have.
let pieces = [];
let length = 0;

function end(piece) {
  const line = Buffer.concat([...pieces, piece]);
  const tooLong = length + piece.length + 1 > LONGEST_LINE;
  pieces = [];
  length = 0;
  if (tooLong) print({ id: null, error: { code: "bad_request", message: "the line is too long" } });
  else if (line.toString("latin1").trim() !== "") answer(line);
}

process.stdin.on("data", (chunk) => {
  for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10)) {
    end(chunk.subarray(0, at));
    chunk = chunk.subarray(at + 1);
  }
  length += chunk.length;
  if (length < LONGEST_LINE) pieces.push(chunk);
  else pieces = [];
});
process.stdin.on("end", () => {
  if (length > 0) end(Buffer.alloc(0));
  cluster?.stop();
  process.stdout.write("", () => process.exit(0));
});
