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

  // A click leads to a row's link each time; a selection, which keys make, only when it is another:
  // the table tells its selection again whenever its rows are renewed.
  let opened = null;
  const links = {
    open(clicked, rows, view) {
      const skip = window.dash_clientside.no_update;
      if (!view || view.path !== "/links") return skip;
      const byClick = window.dash_clientside.callback_context.triggered.some(
        (one) => one.prop_id.endsWith(".cellClicked"));
      const id = byClick ? clicked && clicked.rowId : rows && rows.length && rows[0].id;
      if (!id || (!byClick && id === opened)) return skip;
      opened = id;
      const query = new URLSearchParams(view.search || "");
      query.set("link", id.slice(0, id.lastIndexOf(" ")));
      return `?${query.toString()}`;
    },
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside, { links });
})();
