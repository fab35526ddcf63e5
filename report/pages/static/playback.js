// Watch it happen: plays a recording. Without this script the events are there as lists.
(() => {
  const section = document.getElementById("playback");
  if (!section) return;
  const SVG = "http://www.w3.org/2000/svg";
  const choice = section.querySelector(".player-choice");
  const player = section.querySelector(".player");
  const stage = player.querySelector("svg");
  const says = player.querySelector(".says");
  const where = player.querySelector("input[type=range]");
  const output = player.querySelector("output");
  const speed = player.querySelector(".speed");
  const play = player.querySelector("[data-do=play]");
  const recordings = [...section.querySelectorAll(".recording script")].map(data =>
    JSON.parse(data.textContent));
  const SLOTS = 8;
  // A phone gets a stage of its own shape, or its letters would be too small to read.
  const phone = matchMedia("(max-width: 40rem)").matches;
  const [width, height, radius] = phone ? [360, 400, [184, 150]] : [640, 360, [225, 128]];
  stage.setAttribute("viewBox", `0 0 ${width} ${height}`);
  let steps = [];
  let at = 0;
  let timer = 0;

  function draw(tag, attributes, parent, text) {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  // Nodes stand in a circle, the first on top; a narrow stage flattens it at its sides, so that
  // there is room for a message between any two.
  function place(index, count) {
    const angle = 2 * Math.PI * index / count - Math.PI / 2;
    const room = width / 2 - 72;
    const aside = Math.max(-room, Math.min(room, radius[0] * Math.cos(angle)));
    return [width / 2 + aside, height / 2 + radius[1] * Math.sin(angle)];
  }

  function drawNode([x, y], id, [role, term, last, commit], first) {
    const group = draw("g", {class: role}, stage);
    draw("rect", {class: "node", x: x - 66, y: y - 36, width: 132, height: 72, rx: 8}, group);
    draw("text", {x, y: y - 18}, group, `Node ${id}: ${role.replace("_", "-")}`);
    draw("text", {class: "small", x, y: y - 2}, group, `term ${term}`);
    for (let slot = 0; slot < SLOTS; slot += 1) {
      const index = first + slot;
      const state = index <= commit ? "committed" : index <= last ? "has" : "";
      draw("rect", {class: `slot ${state}`, x: x - 58 + slot * 14.6, y: y + 6, width: 13, height: 10},
        group);
    }
    draw("text", {class: "small", x, y: y + 30}, group, `log ${last}, committed ${commit}`);
  }

  // An arrow from the edge of one node towards the edge of another.
  function drawMessage(from, to) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const cut = Math.min(66 / Math.abs(dx || 1e-9), 36 / Math.abs(dy || 1e-9)) + 0.02;
    const [x1, y1] = [from[0] + dx * cut, from[1] + dy * cut];
    const [x2, y2] = [to[0] - dx * cut, to[1] - dy * cut];
    draw("line", {class: "message", x1, y1, x2, y2}, stage);
    const angle = Math.atan2(dy, dx) * 180 / Math.PI;
    draw("path", {class: "arrow", d: "M0 0 L-12 5 L-12 -5 Z",
      transform: `translate(${x2} ${y2}) rotate(${angle})`}, stage);
  }

  function show() {
    const step = steps[at];
    const ids = Object.keys(step.nodes);
    const places = Object.fromEntries(ids.map((id, index) => [id, place(index, ids.length)]));
    const longest = Math.max(...steps.flatMap(s => Object.values(s.nodes).map(node => node[2])));
    stage.replaceChildren();
    if (step.link) drawMessage(places[step.link[0]], places[step.link[1]]);
    for (const id of ids) {
      drawNode(places[id], id, step.nodes[id], Math.max(1, longest - SLOTS + 1));
    }
    says.textContent = `${step.at.toFixed(2)} ms: ${step.says}`;
    where.value = at;
    output.textContent = `${at} of ${steps.length - 1}`;
  }

  function go(to) {
    at = Math.max(0, Math.min(steps.length - 1, to));
    show();
    if (at === steps.length - 1) pause();
  }

  function pause() {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  }

  function start() {
    if (at === steps.length - 1) go(0);
    clearInterval(timer);
    timer = setInterval(() => go(at + 1), Number(speed.value));
    play.textContent = "Pause";
  }

  function choose(index) {
    pause();
    steps = recordings[index];
    where.max = steps.length - 1;
    go(0);
  }

  const actions = {
    first: () => { pause(); go(0); },
    back: () => { pause(); go(at - 1); },
    next: () => { pause(); go(at + 1); },
    play: () => { if (timer) pause(); else start(); },
  };
  player.addEventListener("click", event => {
    const button = event.target.closest("[data-do]");
    if (button) actions[button.dataset.do]();
  });
  where.addEventListener("input", () => { pause(); go(Number(where.value)); });
  speed.addEventListener("change", () => { if (timer) start(); });
  choice.addEventListener("change", event => choose(Number(event.target.value)));
  choice.hidden = player.hidden = false;
  choose(0);
})();
