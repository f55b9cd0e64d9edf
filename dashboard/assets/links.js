// The table of links: a small curve in a cell, and what a click on a row leads to.
"use strict";

(() => {
  const WIDTH = 110;
  const HEIGHT = 22;
  const components = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});

  components.Sparkline = function Sparkline(props) {
    const values = (props.value || []).map((value) => (value === null ? 0 : Math.min(1, value)));
    const draw = window.React.createElement;
    if (values.length < 2) return draw("span", { className: "quiet" }, "–");
    const step = WIDTH / (values.length - 1);
    const points = values.map((value, index) =>
      `${(index * step).toFixed(1)},${(HEIGHT - 1 - value * (HEIGHT - 2)).toFixed(1)}`);
    const label = `load over time, at most ${Math.round(Math.max(...values) * 100)} %`;
    return draw("svg", { width: "100%", height: HEIGHT, viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
                         preserveAspectRatio: "none", className: "sparkline", role: "img", "aria-label": label },
      draw("polygon", { points: `0,${HEIGHT} ${points.join(" ")} ${WIDTH},${HEIGHT}` }),
      draw("polyline", { points: points.join(" "), vectorEffect: "non-scaling-stroke" }));
  };

  const links = {
    open(rows, view) {
      if (!rows || !rows.length || !view || view.path !== "/links") return window.dash_clientside.no_update;
      const query = new URLSearchParams(view.search || "");
      query.set("link", rows[0].name);
      return `?${query.toString()}`;
    },
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside, { links });
})();
