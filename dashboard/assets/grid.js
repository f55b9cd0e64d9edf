// Numbers of tables as people read them, alike those of quantities.py.
"use strict";

(() => {
  const NONE = "–";
  const digits = (value) => {
    if (value === 0) return "0";
    const places = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    const text = value.toLocaleString("en-US", {
      minimumFractionDigits: Math.min(places, 6), maximumFractionDigits: Math.min(places, 6) });
    return /\.0*$/.test(text) ? text.split(".")[0] : text;
  };
  const scaled = (value, base, prefixes, unit) => {
    let index = 0;
    while (Math.abs(value) >= base - 0.5 && index < prefixes.length - 1) { value /= base; index += 1; }
    return `${digits(value)} ${prefixes[index]}${unit}`;
  };
  const known = (format) => (value) => (value === null || value === undefined ? NONE : format(value));
  const fabricscope = {
    count: known((value) => Math.round(value).toLocaleString("en-US")),
    bytes: known((value) => scaled(value, 1024, ["", "Ki", "Mi", "Gi", "Ti", "Pi"], "B")),
    rate: known((value) => scaled(value * 1e9, 1000, ["", "k", "M", "G", "T", "P"], "b/s")),
    duration: known((value) => {
      if (value === 0) return "0 s";
      for (const [unit, factor] of [["s", 1e6], ["ms", 1e3], ["µs", 1]]) {
        if (Math.abs(value) >= factor * 0.9995) return `${digits(value / factor)} ${unit}`;
      }
      return `${digits(value * 1e3)} ns`;
    }),
    moment: known((value) => `${(value / 1e6).toFixed(6)} s`),
    share: known((value) => (value > 0 && value < 1e-4 ? "<0.01 %" : `${digits(value * 100)} %`)),
    time: known((value) => new Date(value / 1e6).toISOString().slice(11, 19)),
  };
  const functions = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
  functions.fabricscope = fabricscope;
})();
