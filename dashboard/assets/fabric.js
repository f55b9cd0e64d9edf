// The map of the fabric: paints what changed, tells about lines and devices, plays through time.
"use strict";

(() => {
  const COLORS = { good: "#009E73", fair: "#E69F00", poor: "#D55E00", bad: "#C8102E", unknown: "#8A8F98" };
  const WIDTHS = [1.2, 2, 3, 4.2, 5.6, 7];
  const MARKS = { fair: "◆", poor: "■", bad: "▲" };
  const MARKED = 6;
  const STEPS = 60;
  const skip = () => window.dash_clientside.no_update;
  let last = null;

  function scene() {
    const holder = document.getElementById("fabric-map");
    const cy = window.cy;
    return cy && holder && !cy.destroyed() && holder.contains(cy.container()) ? cy : null;
  }

  function edges(cy) {
    if (cy.scratch("_count") !== cy.edges().length) {
      const found = [];
      cy.edges().forEach((edge) => { found[edge.data("number")] = edge; });
      cy.scratch("_edges", found);
      cy.scratch("_count", found.length);
    }
    return cy.scratch("_edges");
  }

  // Only lines whose looks differ are touched: cytoscape computes styles anew for each it is told of.
  function paint(cy, state) {
    const found = edges(cy);
    const ranked = Object.keys(state.worst).sort((a, b) => state.score[a] - state.score[b]);
    const marked = new Set(ranked.slice(0, MARKED));
    cy.batch(() => {
      found.forEach((edge, number) => {
        const health = state.health[number] || "unknown";
        const load = state.load[number];
        const level = load === null || load === undefined ? 0 : Math.min(5, Math.floor(load / 17));
        const mark = marked.has(String(number)) ? `${MARKS[health]} ${state.score[number]}` : "";
        const looks = `${health} ${level} ${mark}`;
        if (edge.scratch("_looks") === looks) return;
        edge.scratch("_looks", looks);
        edge.data({
          color: COLORS[health], width: WIDTHS[level] + (MARKS[health] ? 1.5 : 0),
          opacity: MARKS[health] ? 1 : health === "unknown" ? 0.35 : 0.55,
        });
        if (mark) edge.data("mark", mark);
        else if (edge.data("mark")) edge.removeData("mark");
      });
    });
  }

  function describe(element) {
    const data = element.data();
    if (element.isNode()) return data.label;
    const number = data.number;
    const ends = `${element.source().data("label") || "?"} – ${element.target().data("label") || "?"}`;
    const lines = [ends, `${data.links.toLocaleString("en-US")} link${data.links > 1 ? "s" : ""}, ${last.seen[number]} with samples`];
    if (last.score[number] !== null) lines.push(`worst score ${last.score[number]} (${last.health[number]})`);
    if (last.worst[number]) lines.push(`worst link ${last.worst[number]}`);
    if (last.load[number] !== null) lines.push(`load ${last.load[number]} %`);
    return lines.join("\n");
  }

  function listen(cy) {
    if (cy.scratch("_listens")) return;
    cy.scratch("_listens", true);
    const tip = document.getElementById("fabric-tip");
    cy.on("mouseover", "edge, node", (event) => {
      if (event.target.hasClass("tier") || !last) return;
      tip.textContent = describe(event.target);
      tip.hidden = false;
    });
    cy.on("mousemove", (event) => {
      const at = event.renderedPosition;
      const left = Math.min(at.x + 14, cy.width() - 200);
      tip.style.left = `${Math.max(0, left)}px`;
      tip.style.top = `${Math.min(at.y + 14, cy.height() - 60)}px`;
    });
    cy.on("mouseout", "edge, node", () => { tip.hidden = true; });
  }

  function draw() {
    const cy = scene();
    if (!cy || !last) return false;
    listen(cy);
    const begun = performance.now();
    paint(cy, last);
    window.fabricscopeTimes = window.fabricscopeTimes || [];
    window.fabricscopeTimes.push(performance.now() - begun);
    if (window.fabricscopeTimes.length > 600) window.fabricscopeTimes.shift();
    return true;
  }

  // One unit is one pixel, so that letters keep their size; places come as shares of the room.
  function arrange() {
    const cy = scene();
    if (!cy || !cy.nodes().length) return;
    cy.resize();
    const tiers = cy.nodes(".tier").length > 0;
    const left = tiers ? 96 : 12;
    const width = cy.width() - left - 12;
    const height = cy.height() - 60;
    cy.batch(() => {
      cy.nodes().forEach((node) => {
        const { u, v, span } = node.data();
        const tier = node.hasClass("tier");
        node.position({ x: tier ? 2 : left + u * width, y: 22 + v * height });
        if (!tier) node.data("width", Math.max(6, Math.min(120, span * width * 0.8)));
        else node.data("width", 1);
      });
      cy.nodes().forEach((node) => {
        node.style("text-opacity", node.hasClass("tier") || node.data("width") >= 34 ? 1 : 0);
        if (node.hasClass("end")) node.style("text-max-width", Math.max(34, node.data("span") * width - 6));
      });
    });
    cy.zoom(1);
    cy.pan({ x: 0, y: 0 });
  }
  window.addEventListener("resize", () => setTimeout(arrange, 100));

  const fabric = {
    paint(state, elements) {
      if (!state || !state.health) return skip();
      last = state;
      const fresh = elements !== fabric.elements;
      fabric.elements = elements;
      draw();
      if (fresh) [50, 300, 1000].forEach((wait) => setTimeout(() => { draw(); arrange(); }, wait));
      return skip();
    },

    steer(detail, only, edge, node, view) {
      const query = new URLSearchParams((view && view.search) || "");
      const by = window.dash_clientside.callback_context.triggered.map((one) => one.prop_id);
      const was = query.toString();
      const put = (name, value) => (value ? query.set(name, value) : query.delete(name));
      if (by.includes("fabric-detail.value") || by.includes("fabric-choice.value")) {
        if ((query.get("detail") || "") !== (detail || "")) query.delete("pick");
        put("detail", detail);
        put("only", only);
      }
      // Without a topology lines have numbers that change as links come and go; their nodes do not.
      const named = edge && edge.target === "fabric";
      if (by.includes("fabric-map.tapEdgeData") && edge) put("pick", named ? edge.source : edge.id);
      if (by.includes("fabric-map.tapNodeData") && node) put("pick", node.id);
      const now = query.toString();
      return now === was ? skip() : now ? `?${now}` : "";
    },

    play(_clicks, _count, disabled, step) {
      const by = window.dash_clientside.callback_context.triggered.map((one) => one.prop_id);
      if (by.includes("fabric-play.n_clicks")) {
        return disabled ? [false, "❚❚ Stop", step >= STEPS ? 0 : step] : [true, "▶ Play", skip()];
      }
      if (disabled) return [skip(), skip(), skip()];
      return step + 1 >= STEPS ? [true, "▶ Play", STEPS] : [skip(), skip(), step + 1];
    },
  };

  window.dash_clientside = Object.assign({}, window.dash_clientside, { fabric });
})();
