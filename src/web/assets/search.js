// Answers while somebody types. Without it the forms work as forms.
"use strict";

// Long enough that a word typed in one go is one question, short enough not to be noticed.
const PAUSE_MS = 120;
const SHOWN_MAX = 8;

// Calls `ask` when the typing rests; `ask` gets a signal that ends it when more is typed.
function whileTyping(input, ask) {
  let timer = 0;
  let running = null;
  const stop = () => {
    clearTimeout(timer);
    if (running) running.abort();
    running = null;
  };
  input.addEventListener("input", () => {
    stop();
    timer = setTimeout(async () => {
      running = new AbortController();
      try {
        await ask(input.value.trim(), running.signal);
      } catch (why) {
        if (why.name !== "AbortError") console.warn(why);
      }
    }, PAUSE_MS);
  });
  return stop;
}

// The box at the top of every page: a combobox whose list leads to projects.
function suggestions(input) {
  const form = input.form;
  const list = document.createElement("ul");
  const said = document.createElement("p");
  list.id = "found";
  list.className = "found";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Projects");
  list.hidden = true;
  said.className = "unseen";
  said.setAttribute("role", "status");
  form.append(list, said);
  // A search box may not be a combobox; a text box may.
  input.type = "text";
  input.setAttribute("role", "combobox");
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-expanded", "false");
  input.setAttribute("aria-controls", list.id);

  let active = -1;
  const options = () => Array.from(list.children);
  const mark = (number) => {
    active = number;
    options().forEach((option, at) => option.setAttribute("aria-selected", String(at === number)));
    const option = list.children[number];
    if (option) {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  };
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  };
  const open = () => {
    list.hidden = list.children.length === 0;
    input.setAttribute("aria-expanded", String(!list.hidden));
  };
  const show = (hits) => {
    list.replaceChildren(...hits.slice(0, SHOWN_MAX).map((hit, at) => {
      const option = document.createElement("li");
      const name = document.createElement("span");
      const more = document.createElement("span");
      option.id = `found-${at}`;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      option.dataset.path = hit.path;
      name.textContent = hit.project;
      more.className = "soft small";
      more.textContent = [hit.version, hit.index, hit.summary].filter(Boolean).join(" · ");
      option.append(name, " ", more);
      return option;
    }));
    mark(-1);
    open();
  };

  const stop = whileTyping(input, async (text, signal) => {
    if (!text) {
      list.replaceChildren();
      said.textContent = "";
      return close();
    }
    const answer = await fetch(`/+search?format=json&q=${encodeURIComponent(text)}`, { signal });
    if (!answer.ok) return close();
    const { hits } = await answer.json();
    show(hits);
    const count = list.children.length;
    said.textContent = count === 0 ? "No project found." : `${count} projects, use the arrow keys.`;
  });
  input.addEventListener("keydown", (event) => {
    const count = list.children.length;
    if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count > 0) {
      event.preventDefault();
      open();
      const step = event.key === "ArrowDown" ? 1 : -1;
      // One place more than there are options: the box itself.
      mark((active + 1 + step + count + 1) % (count + 1) - 1);
    } else if (event.key === "Enter" && !list.hidden && active >= 0) {
      event.preventDefault();
      location.assign(list.children[active].dataset.path);
    }
  });
  // Before the box loses the focus, which closes the list.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) location.assign(option.dataset.path);
  });
  input.addEventListener("blur", () => { stop(); close(); });
  form.addEventListener("submit", stop);
}

// The page of results: it shows what its address would.
function results(form) {
  const input = form.elements.q;
  const index = form.elements.index;
  const ask = async (text, signal) => {
    const address = `/+search?q=${encodeURIComponent(text)}&index=${encodeURIComponent(index.value)}`;
    const answer = await fetch(address, { signal, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("results");
    if (!fresh) return;
    // The line that is read aloud stays the same element, or it would not be.
    const state = fresh.querySelector("[role=status]");
    const shown = document.getElementById("search-state");
    if (state) shown.textContent = state.textContent;
    shown.nextElementSibling.replaceWith(fresh.querySelector(".hits") || document.createElement("ul"));
    const pager = fresh.querySelector(".pager");
    document.querySelector("#results .pager")?.remove();
    if (pager) document.getElementById("results").append(pager);
    history.replaceState(null, "", address);
  };
  whileTyping(input, ask);
  index.addEventListener("change", () => input.dispatchEvent(new Event("input")));
}

{
  const input = document.getElementById("find");
  const form = document.getElementById("search-form");
  if (input) suggestions(input);
  if (form) results(form);
}
