"use strict";
(() => {
  const data = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];

  function draw(useDark) {
    for (const { plot, figure } of drawn) {
      figure.layout.template = useDark ? data.dark : data.light;
      Plotly.react(plot, figure.data, figure.layout, { ...data.config, staticPlot: Boolean(figure.layout.meta) });
    }
  }
  for (const { name, figure } of data.figures) {
    const plot = document.getElementById("figure-" + name);
    plot.replaceChildren();
    drawn.push({ plot, figure });
  }
  draw(dark.matches);
  dark.addEventListener("change", () => draw(dark.matches));
  addEventListener("beforeprint", () => draw(false));
  addEventListener("afterprint", () => draw(dark.matches));

  // Zooming into a moment in one of the figures over time shows the same moment in the other.
  const overTime = ["figure-throughput", "figure-events"].map((id) => document.getElementById(id));
  let following = false;
  for (const plot of overTime) {
    if (!plot || !plot.on) continue;
    plot.on("plotly_relayout", (change) => {
      const key = Object.keys(change).find((name) => /^xaxis\d*\.(range|autorange)/.test(name));
      if (following || !key) return;
      const axis = plot._fullLayout.xaxis;
      following = true;
      const others = overTime.filter((other) => other && other !== plot && other._fullLayout.xaxis.visible);
      Promise.all(others.map((other) => {
        const update = {};
        for (const name of Object.keys(other._fullLayout).filter((n) => /^xaxis\d*$/.test(n))) {
          update[name + ".range"] = axis.range.slice();
        }
        return Plotly.relayout(other, update);
      })).finally(() => { following = false; });
    });
  }

  for (const table of document.querySelectorAll(".table")) {
    const body = table.querySelector("tbody");
    const headers = [...table.querySelectorAll("th")];
    headers.forEach((header, index) => {
      header.querySelector("button").addEventListener("click", () => {
        const numeric = header.classList.contains("number");
        const before = header.getAttribute("aria-sort");
        const ascending = before ? before === "descending" : !numeric;
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const key = (row) => row.cells[index].dataset.sort;
        const order = (a, b) => numeric ? Number(key(a)) - Number(key(b))
          : key(a).localeCompare(key(b), undefined, { numeric: true });
        const rows = [...body.rows].sort((a, b) => ascending ? order(a, b) : order(b, a));
        body.append(...rows);
      });
    });
    const input = table.querySelector("input");
    if (!input) continue;
    const output = table.querySelector("output");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of body.rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += row.hidden ? 0 : 1;
      }
      output.textContent = words.length ? shown + " match" : "";
    });
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      input.value = "";
      input.dispatchEvent(new Event("input"));
    });
  }

  for (const button of document.querySelectorAll(".copy")) {
    const code = button.previousElementSibling;
    const label = button.textContent;
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = label; }, 1500);
    });
  }
})();
