// Keeps the page of the status current. Without it the page says how things were when it was opened.
"use strict";

(() => {
  const page = document.querySelector("[data-events]");
  const button = document.getElementById("live-pause");
  if (!page || !button || !window.EventSource) return;
  // How long a server that had no place is left alone, in milliseconds.
  const AGAIN = 30000;
  let source = null, later = 0, paused = false;

  const write = (element, [text, kind]) => {
    if (element.textContent !== text) element.textContent = text;
    if (kind) element.className = "badge " + kind;
  };
  const cell = (value, at) => {
    const element = document.createElement(at === 0 ? "th" : "td");
    if (at === 0) element.scope = "row";
    const [, kind] = value;
    write(kind ? element.appendChild(document.createElement("span")) : element, value);
    return element;
  };
  const show = (now) => {
    for (const [id, value] of Object.entries(now.texts)) {
      const element = document.getElementById(id);
      if (element) write(element, value);
    }
    for (const [id, value] of Object.entries(now.levels)) {
      const element = document.getElementById(id);
      if (element) element.value = value;
    }
    for (const [id, rows] of Object.entries(now.rows)) {
      const body = document.getElementById(id);
      if (!body) continue;
      body.replaceChildren(...rows.map((row) => {
        const line = document.createElement("tr");
        line.append(...row.map(cell));
        return line;
      }));
      document.getElementById(id + "-some").hidden = rows.length === 0;
      document.getElementById(id + "-none").hidden = rows.length > 0;
    }
  };
  const stop = () => {
    clearTimeout(later);
    if (source) source.close();
    source = null;
  };
  const start = () => {
    stop();
    if (paused || document.hidden) return;
    source = new EventSource(page.dataset.events);
    source.onmessage = (event) => show(JSON.parse(event.data));
    source.onerror = () => {
      // A stream that ended is asked for again by the browser; one that was refused is not.
      if (source && source.readyState === EventSource.CLOSED) later = setTimeout(start, AGAIN);
    };
  };

  button.hidden = false;
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Go on" : "Pause";
    start();
  });
  document.addEventListener("visibilitychange", start);
  window.addEventListener("pagehide", stop);
  start();
})();
