"use strict";
(() => {
  const data = JSON.parse(document.getElementById("figures").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const drawn = [];

  function draw(useDark) {
    for (const { plot, figure } of drawn) {
      figure.layout.template = useDark ? data.dark : data.light;
      const config = { ...data.config, staticPlot: Boolean(figure.layout.meta) };
      // Without axes there is nothing to zoom into.
      if (figure.data.every((trace) => trace.type === "treemap")) config.modeBarButtons = [["toImage"]];
      Plotly.react(plot, figure.data, figure.layout, config);
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

  // A table that is wider than the page says so, and how much of it is still to come.
  for (const table of document.querySelectorAll(".table")) {
    const scroll = table.querySelector(".scroll");
    const headers = [...table.querySelectorAll("th")];
    const button = document.createElement("button");
    button.type = "button";
    button.className = "more-columns";
    table.querySelector("h3").after(button);
    button.addEventListener("click", () => {
      const end = scroll.scrollLeft + scroll.clientWidth >= scroll.scrollWidth - 2;
      scroll.scrollTo({ left: end ? 0 : scroll.scrollLeft + scroll.clientWidth * 0.8, behavior: "smooth" });
    });
    const tell = () => {
      const edge = scroll.getBoundingClientRect().right + 2;
      const hidden = headers.filter((header) => header.getBoundingClientRect().right > edge).length;
      const wide = scroll.scrollWidth > scroll.clientWidth + 1;
      table.classList.toggle("more", hidden > 0);
      button.hidden = !wide;
      button.textContent = hidden ? hidden + (hidden === 1 ? " more column →" : " more columns →") : "← back to the first";
    };
    scroll.addEventListener("scroll", tell, { passive: true });
    new ResizeObserver(tell).observe(scroll);
    tell();
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
