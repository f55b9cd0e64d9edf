// Sends a chosen capture to the server, with its progress, without holding it in memory.
"use strict";

(() => {
  const BUTTON = "captures-upload";
  const STATE = "captures-upload-state";
  const STORE = "captures-uploaded";
  const TOKEN = "_csrf_token";

  function token() {
    const pairs = document.cookie.split(";").map((pair) => pair.trim().split("="));
    const found = pairs.find(([name]) => name === TOKEN);
    return found ? decodeURIComponent(found[1]) : "";
  }

  function say(text) {
    const place = document.getElementById(STATE);
    if (place) place.textContent = text;
  }

  function send(file, limit) {
    if (limit && file.size > limit) {
      say(`${file.name} is larger than the ${Math.floor(limit / 1048576)} MiB that may be uploaded.`);
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", `/upload?name=${encodeURIComponent(file.name)}`);
    request.setRequestHeader("x-csrftoken", token());
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) say(`Sending ${Math.floor((100 * event.loaded) / event.total)} %`);
    };
    request.onerror = () => say("The file could not be sent: the server did not answer.");
    request.onload = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { /* plain text */ }
      if (request.status === 200 && answer.id) {
        say("");
        window.dash_clientside.set_props(STORE, { data: { id: answer.id, at: Date.now() } });
      } else say(answer.problem || request.responseText.slice(0, 300) || "The file was refused.");
    };
    request.send(file);
  }

  // Whoever asked for packets is taken to them once they are there.
  const captures = {
    scroll(shown, view) {
      const query = new URLSearchParams((view && view.search) || "");
      const panel = document.getElementById("captures-packets-panel");
      if (panel && shown && shown[shown.length - 1] === "done" &&
          (query.get("host") || query.get("frames"))) {
        const top = panel.getBoundingClientRect().top + window.scrollY - 64;
        window.scrollTo({ top, behavior: "smooth" });
      }
      return window.dash_clientside.no_update;
    },
  };
  window.dash_clientside = Object.assign({}, window.dash_clientside, { captures });

  document.addEventListener("click", (event) => {
    const button = event.target.closest && event.target.closest(`#${BUTTON}`);
    if (!button || button.disabled) return;
    const chooser = document.createElement("input");
    chooser.type = "file";
    chooser.onchange = () => {
      if (chooser.files.length) send(chooser.files[0], Number(button.dataset.limit || 0));
    };
    chooser.click();
  });
})();
