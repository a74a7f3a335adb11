"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  // Light and dark.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => { theme.textContent = isDark() ? "Light theme" : "Dark theme"; };
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("tinsmith-theme", root.dataset.theme); } catch { /* lasts until the page is closed */ }
    label();
  });
  system.addEventListener("change", label);
  label();

  // Commands to copy; where a page may not use the clipboard, the text is selected and copied the old way.
  const copied = async (text, pre) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(pre);
      return document.execCommand("copy");
    }
  };
  for (const button of all(".copy")) {
    const pre = button.parentElement.querySelector("pre");
    button.addEventListener("click", async () => {
      button.textContent = (await copied(pre.textContent, pre)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }

  // Panels of layers.
  const table = document.getElementById("layer-table");
  if (!table) return;
  const layers = [...table.tBodies];
  const show = (layer, shown) => {
    layer.classList.toggle("shown", shown);
    layer.querySelector("details").open = shown;
    layer.querySelector(".open").setAttribute("aria-expanded", String(shown));
  };
  for (const layer of layers) {
    layer.querySelector(".head").addEventListener("click", (event) => {
      if (event.target.closest("a") || (getSelection().toString() && !event.target.closest("button"))) return;
      show(layer, !layer.classList.contains("shown"));
    });
  }

  // Sorting: numbers by value, what has none last in both directions, equals in the order of execution.
  const heads = [...table.tHead.rows[0].cells];
  const choice = document.getElementById("sort");
  const sort = (head, direction) => {
    const column = heads.indexOf(head);
    const numbers = head.dataset.kind === "number";
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = layers.map((layer) => {
      const cell = layer.rows[0].cells[column];
      if (!numbers) return { layer, key: (cell.querySelector(".open") || cell).textContent };
      return { layer, key: cell.dataset.value === "" ? null : Number(cell.dataset.value) };
    });
    keyed.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return sign * (numbers ? (a.key > b.key) - (a.key < b.key) : a.key.localeCompare(b.key, "en", { numeric: true }));
    });
    for (const other of heads) other.setAttribute("aria-sort", other === head ? direction : "none");
    table.append(...keyed.map((entry) => entry.layer));
    choice.value = head.dataset.key;
  };
  const opposite = { ascending: "descending", descending: "ascending" };
  for (const head of heads) {
    head.querySelector("button").addEventListener("click", () => {
      sort(head, opposite[head.getAttribute("aria-sort")] || head.dataset.first);
    });
  }
  choice.addEventListener("change", () => {
    const head = heads.find((candidate) => candidate.dataset.key === choice.value);
    sort(head, head.dataset.first);
  });

  // Searching: every word must occur in a layer's name, operator or sources.
  const filter = document.getElementById("filter");
  const marked = document.getElementById("marked");
  const found = document.getElementById("found");
  const texts = new Map(layers.map((layer) => {
    const parts = [...layer.rows[0].cells].slice(1, 3).concat(all(".sources", layer));
    return [layer, parts.map((part) => part.textContent).join(" ").toLowerCase()];
  }));
  const search = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const layer of layers) {
      const hit = words.every((word) => texts.get(layer).includes(word));
      layer.hidden = !hit || (marked.checked && !layer.classList.contains("marked"));
      count += !layer.hidden;
    }
    found.textContent = count === layers.length ? `${count} layers` : `${count} of ${layers.length} layers`;
  };
  filter.addEventListener("input", search);
  marked.addEventListener("change", search);

  // Links to a layer open it, wherever it is.
  const follow = () => {
    const layer = document.getElementById(location.hash.slice(1));
    if (!layer || !layers.includes(layer)) return;
    if (layer.hidden) {
      filter.value = "";
      marked.checked = false;
      search();
    }
    show(layer, true);
    layer.scrollIntoView();
    layer.querySelector(".open").focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.to-layer");
    if (link && link.hash === location.hash) follow();
  });
  search();
  follow();
})();
