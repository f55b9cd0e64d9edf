// A map that stands still is not looked at sixty times a second: cytoscape asks for each frame
// whether anything is to be drawn, which costs the page more than all its updates.
"use strict";

(() => {
  const AWAKE_MS = 1000;
  const REST_MS = 200;
  const SIGNS = ["pointermove", "pointerdown", "wheel", "keydown", "resize"];
  const request = window.requestAnimationFrame.bind(window);
  const loops = new WeakMap();
  const resting = new Set();
  let awakeUntil = performance.now() + AWAKE_MS;

  // The loop is known by the name of the renderer's own property, which no minifier changes.
  function isMapLoop(step) {
    if (!loops.has(step)) loops.set(step, /\.requestedFrame\b/.test(String(step)));
    return loops.get(step);
  }

  function go(step) {
    if (resting.delete(step)) request(step);
  }

  window.requestAnimationFrame = (step) => {
    if (!isMapLoop(step) || performance.now() < awakeUntil) return request(step);
    resting.add(step);
    setTimeout(go, REST_MS, step);
    return 0;
  };

  for (const sign of SIGNS) {
    window.addEventListener(sign, () => {
      awakeUntil = performance.now() + AWAKE_MS;
      [...resting].forEach(go);
    }, { capture: true, passive: true });
  }
})();
