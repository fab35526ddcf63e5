// Side by side: without this script every contender has its column; with it the two chosen ones.
function chooseTwo() {
  const form = document.querySelector("#side-by-side .pair");
  if (!form) return;
  const [left, right] = form.querySelectorAll("select");
  const names = Array.from(left.options, (option) => option.value);
  left.value = names[0];
  right.value = names[names.length - 1];

  function show() {
    for (const columns of document.querySelectorAll("#side-by-side .columns")) {
      columns.classList.add("two");
      for (const column of columns.children) {
        const name = column.dataset.contender;
        column.hidden = name !== left.value && name !== right.value;
        column.style.order = name === left.value ? 0 : 1;
      }
    }
  }

  form.addEventListener("change", show);
  form.hidden = false;
  show();
}

chooseTwo();
