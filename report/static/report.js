// What the page does beyond reading: nothing here is needed to read it.
"use strict";

// Links of the page remember what is unfolded: a link into a folded part unfolds it.
function unfoldTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) {
    if (part instanceof HTMLDetailsElement) part.open = true;
  }
}

addEventListener("hashchange", unfoldTarget);
unfoldTarget();
