// What the page does beyond being read: choose what is shown, sort, point at figures. Nothing here
// is needed to read it. Every choice is kept in the address, so that a view can be linked:
// #section?contenders=go,asyncio&workload=election&scale=linear&view=relative&theme=dark&sort=…
"use strict";

(() => {
  const root = document.documentElement;
  const controls = document.getElementById("controls");
  const form = controls.querySelector("form");
  const tip = document.getElementById("tip");
  const boxes = [...form.querySelectorAll("input[name=contender]")];
  const selects = [...form.querySelectorAll("select")];
  const tables = [...document.querySelectorAll("table[data-sortable]")];
  const sorted = new Map(); // table id → [column, direction]

  // The address.

  function read() {
    const [anchor, query] = location.hash.slice(1).split("?");
    return [decodeURIComponent(anchor), new URLSearchParams(query ?? "")];
  }

  function state() {
    const chosen = new URLSearchParams();
    const off = boxes.filter(box => !box.checked);
    if (off.length) chosen.set("contenders", boxes.filter(b => b.checked).map(b => b.value));
    for (const select of selects) {
      if (select.selectedIndex > 0) chosen.set(select.name, select.value);
    }
    if (sorted.size) chosen.set("sort", [...sorted].map(([id, by]) => [id, ...by].join(":")));
    return chosen.toString();
  }

  function address(anchor) {
    const query = state();
    return "#" + encodeURIComponent(anchor) + (query ? "?" + query : "");
  }

  function restore() {
    const [anchor, chosen] = read();
    const wanted = chosen.get("contenders")?.split(",");
    for (const box of boxes) box.checked = !wanted || wanted.includes(box.value);
    for (const select of selects) {
      select.value = chosen.get(select.name) ?? select.options[0].value;
      if (select.selectedIndex < 0) select.selectedIndex = 0;
    }
    sorted.clear();
    for (const entry of chosen.get("sort")?.split(",") ?? []) {
      const [id, column, direction] = entry.split(":");
      sorted.set(id, [Number(column), direction]);
    }
    apply();
    return anchor;
  }

  function arrive(anchor) {
    const target = document.getElementById(anchor);
    if (!target) return;
    for (let part = target; part; part = part.parentElement) {
      if (part instanceof HTMLDetailsElement) part.open = true;
    }
    target.scrollIntoView();
  }

  function fold() {
    if (!matchMedia("(max-width: 40rem)").matches) return;
    for (const part of document.querySelectorAll(".fold")) part.open = false;
  }

  // What is shown.

  function show(element, shown) {
    element.classList.toggle("off", !shown);
  }

  function apply() {
    for (const select of selects) {
      if (select.selectedIndex > 0) root.dataset[select.name] = select.value;
      else delete root.dataset[select.name];
    }
    const shown = new Map(boxes.map(box => [box.value, box.checked]));
    const wanted = name => shown.get(name) ?? true;
    for (const element of document.querySelectorAll("[data-contender]:not(.column)")) {
      show(element, wanted(element.dataset.contender) && wanted(element.dataset.other));
    }
    const workload = root.dataset.workload;
    for (const element of document.querySelectorAll("[data-workloads]")) {
      const fits = !workload || element.dataset.workloads.split(" ").includes(workload);
      show(element, fits);
      const link = element.id && document.querySelector(`nav a[href="#${element.id}"]`);
      if (link) show(link, fits);
    }
    tables.forEach(sort);
    hide();
  }

  function changed() {
    apply();
    history.replaceState(null, "", address(read()[0]));
  }

  // Tables.

  function value(row, column) {
    const cell = row.cells[column];
    if (!cell) return null;
    if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = cell.textContent.trim();
    return text === "–" || text === "" ? null : text;
  }

  function sort(table) {
    const [column, direction] = sorted.get(table.id) ?? [-1, "none"];
    const body = table.tBodies[0];
    body.initial ??= [...body.rows];
    const sign = direction === "descending" ? -1 : 1;
    const rows = [...body.initial];
    if (column >= 0) {
      rows.sort((one, other) => {
        const [a, b] = [value(one, column), value(other, column)];
        if (a === null || b === null) return (a === null) - (b === null);
        if (typeof a === "number" && typeof b === "number") return sign * (a - b);
        return sign * String(a).localeCompare(String(b));
      });
    }
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, index) => {
      if (index === column) cell.setAttribute("aria-sort", direction);
      else cell.removeAttribute("aria-sort");
    });
  }

  const next = {none: "descending", descending: "ascending", ascending: "none"};

  for (const table of tables) {
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      button.addEventListener("click", () => {
        const [before, direction] = sorted.get(table.id) ?? [-1, "none"];
        const after = before === column ? next[direction] : "descending";
        if (after === "none") sorted.delete(table.id);
        else sorted.set(table.id, [column, after]);
        changed();
      });
      cell.append(button);
    });
  }

  // Figures of a chart's markers, for a pointer near one and for the arrow keys.

  function markers(svg) {
    return [...svg.querySelectorAll(".tips:not(.off) use")];
  }

  function said(marker) {
    const title = marker.querySelector("title");
    if (title) {
      marker.dataset.tip = title.textContent; // in place of the browser's own, which comes late
      title.remove();
    }
    return marker.dataset.tip;
  }

  function middle(marker) {
    const box = marker.getBoundingClientRect();
    return [box.left + box.width / 2, box.top + box.height / 2];
  }

  function point(marker) {
    const [x, y] = middle(marker);
    tip.textContent = said(marker);
    tip.hidden = false;
    const {width, height} = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, x - width / 2), root.clientWidth - width - 8);
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${(y - height - 14 < 0 ? y + 14 : y - height - 14) + scrollY}px`;
  }

  function hide() {
    tip.hidden = true;
  }

  for (const svg of document.querySelectorAll(".chart svg")) {
    if (!svg.querySelector(".tips")) continue;
    let at = -1;
    svg.setAttribute("tabindex", "0");
    svg.addEventListener("pointermove", event => {
      let nearest = null;
      let distance = 24;
      for (const marker of markers(svg)) {
        const [x, y] = middle(marker);
        const far = Math.hypot(x - event.clientX, y - event.clientY);
        if (far < distance) [nearest, distance] = [marker, far];
      }
      if (nearest) point(nearest);
      else hide();
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", event => {
      const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
      const all = markers(svg);
      if (step && all.length) {
        at = (at + step + all.length) % all.length;
        point(all[at]);
        event.preventDefault();
      } else if (event.key === "Escape") hide();
    });
  }

  // Pictures to take away, in the colours that they have here, and without whom is left out.

  function copied(svg) {
    const copy = svg.cloneNode(true);
    const [originals, copies] = [svg, copy].map(top => [top, ...top.querySelectorAll("*")]);
    copies.forEach((element, index) => {
      const style = getComputedStyle(originals[index]);
      for (const name of ["fill", "stroke"]) {
        if (element.style[name]) element.style[name] = style[name];
      }
      if (element.tagName === "text") element.style.fontFamily = "sans-serif";
    });
    for (const element of copy.querySelectorAll(".off")) element.remove();
    return copy;
  }

  // The drawings of a chart, which may be several, one below the other.
  function picture(svgs) {
    const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const {width} = svgs[0].viewBox.baseVal;
    let height = 0;
    for (const svg of svgs) {
      const copy = copied(svg);
      copy.setAttribute("y", height);
      height += svg.viewBox.baseVal.height;
      whole.append(copy);
    }
    whole.setAttribute("width", width);
    whole.setAttribute("height", height);
    whole.setAttribute("viewBox", `0 0 ${width} ${height}`);
    whole.style.background = getComputedStyle(document.body).backgroundColor;
    const uri = "data:image/svg+xml;charset=utf-8," +
      encodeURIComponent(new XMLSerializer().serializeToString(whole));
    return {uri, width, height};
  }

  function save(name, uri) {
    const link = document.createElement("a");
    link.download = name;
    link.href = uri;
    link.click();
  }

  function saveBitmap(name, {uri, width, height}) {
    const image = new Image();
    image.addEventListener("load", () => {
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [2 * width, 2 * height];
      const context = canvas.getContext("2d");
      context.fillStyle = getComputedStyle(document.body).backgroundColor;
      context.fillRect(0, 0, canvas.width, canvas.height);
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      save(name, canvas.toDataURL("image/png"));
    });
    image.src = uri;
  }

  for (const row of document.querySelectorAll(".downloads")) {
    const figure = row.closest("figure");
    const name = row.querySelector("a").download.replace(/\.csv$/, "");
    const drawn = () =>
      picture([...figure.querySelectorAll(".chart svg")].filter(svg => svg.checkVisibility()));
    for (const [kind, act] of [
      ["SVG", () => save(`${name}.svg`, drawn().uri)],
      ["PNG", () => saveBitmap(`${name}.png`, drawn())],
    ]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = kind;
      button.addEventListener("click", act);
      row.append(button);
    }
  }

  // It begins.

  controls.hidden = false;
  // The answer comes first: only a window with room to spare is given to choices.
  controls.open = matchMedia("(min-width: 40rem) and (min-height: 62rem)").matches;
  form.addEventListener("change", changed);
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", event => {
    event.preventDefault();
    boxes.forEach(box => { box.checked = true; });
    selects.forEach(select => { select.selectedIndex = 0; });
    sorted.clear();
    changed();
  });
  document.addEventListener("click", event => {
    const link = event.target.closest('a[href^="#"]');
    if (!link) return;
    const anchor = decodeURIComponent(link.getAttribute("href").slice(1));
    event.preventDefault();
    history.pushState(null, "", address(anchor));
    arrive(anchor);
  });
  addEventListener("hashchange", () => arrive(restore()));
  addEventListener("popstate", () => arrive(restore()));
  fold();
  arrive(restore());
})();
