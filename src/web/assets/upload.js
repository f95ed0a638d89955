// Files are sent one after another, each with its own progress and its own answer. Without this script the form sends
// them all at once.
"use strict";

{
  const form = document.getElementById("files");
  const input = document.getElementById("files-content");
  const list = document.getElementById("uploads");
  const status = document.getElementById("upload-status");
  const drop = form.querySelector(".drop");
  const button = form.querySelector("button[type=submit]");
  const queue = [];
  let busy = false, done = 0, failed = 0;

  for (const hint of form.querySelectorAll(".with-script")) hint.hidden = false;

  const tell = () => {
    const left = queue.length + (busy ? 1 : 0);
    const parts = [];
    if (left) parts.push(`${left} to go`);
    if (done) parts.push(`${done} uploaded`);
    if (failed) parts.push(`${failed} not taken`);
    status.textContent = parts.join(", ");
    button.disabled = left > 0;
  };

  const add = (files) => {
    for (const file of files) {
      const row = document.createElement("li");
      const name = document.createElement("code");
      const bar = document.createElement("progress");
      const said = document.createElement("span");
      name.textContent = file.name;
      bar.max = 1;
      bar.value = 0;
      bar.setAttribute("aria-label", `Upload of ${file.name}`);
      said.textContent = "waits";
      row.append(name, " ", bar, " ", said);
      list.append(row);
      queue.push({ file, row, bar, said });
    }
    next();
  };

  const next = () => {
    const one = busy ? undefined : queue.shift();
    if (one) {
      busy = true;
      send(one);
    }
    tell();
  };

  const end = (one, good, words, path) => {
    one.bar.remove();
    let said = one.said;
    if (path) {
      said = document.createElement("a");
      said.href = path;
      one.said.replaceWith(said);
    }
    said.textContent = words;
    said.classList.toggle("bad", !good);
    if (good) done += 1; else failed += 1;
    busy = false;
    next();
  };

  const send = (one) => {
    const body = new FormData();
    body.append("token", form.elements.token.value);
    body.append("content", one.file, one.file.name);
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable && event.total > 0) one.bar.value = event.loaded / event.total;
      one.said.textContent = "is sent";
    });
    request.upload.addEventListener("load", () => {
      one.bar.removeAttribute("value");
      one.said.textContent = "is checked";
    });
    request.addEventListener("load", () => {
      let told = null;
      try { told = JSON.parse(request.responseText); } catch { told = null; }
      const file = told && told.files && told.files[0];
      if (file) end(one, !file.refused, file.words, file.path);
      else if (told && told.message) end(one, false, told.message);
      else end(one, false, `The server answered ${request.status}. Reload this page, log in again if it asks, and try once more.`);
    });
    for (const kind of ["error", "abort", "timeout"]) {
      request.addEventListener(kind, () => end(one, false, "The connection broke off; nothing of this file was taken. Try again."));
    }
    one.said.textContent = "is sent";
    request.send(body);
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const files = [...input.files];
    input.value = "";
    add(files);
  });

  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      drop.classList.add("over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    drop.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.remove("over");
    });
  }
  drop.addEventListener("drop", (event) => add([...event.dataTransfer.files]));
  // A file that is dropped beside is not opened in the place of this page.
  for (const kind of ["dragover", "drop"]) {
    addEventListener(kind, (event) => { if (event.dataTransfer) event.preventDefault(); });
  }
}
