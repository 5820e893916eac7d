// Contents of a page and the search box, without a library from another host. pkgdown 2.1 and later keep theirs beside
// the pages; then nothing is done here.
(function () {
  "use strict";

  function element(tag, classes, text) {
    const made = document.createElement(tag);
    made.className = classes;
    made.textContent = text || "";
    return made;
  }

  function contents(toc) {
    const list = element("ul", "nav flex-column");
    document.querySelectorAll("main h2, main h3").forEach(function (heading) {
      const at = heading.id ? heading : heading.closest("[id]:not(main)");
      if (!at || heading.hasAttribute("data-toc-skip")) return;
      const link = element("a", "nav-link py-1" + (heading.tagName === "H3" ? " ps-4" : ""), heading.textContent.trim());
      link.href = "#" + at.id;
      list.append(link);
    });
    if (list.children.length) toc.append(list); else toc.remove();
  }

  function search(box) {
    const root = new URL(box.dataset.searchIndex.replace(/[^/]*$/, ""), document.baseURI);
    const results = element("div", "list-group position-absolute end-0 mt-1 shadow overflow-auto");
    results.style.cssText = "width: 24rem; max-width: 90vw; max-height: 70vh; z-index: 1050";
    box.form.classList.add("position-relative");
    box.form.append(results);

    let index;
    function load() {
      index = index || fetch(box.dataset.searchIndex).then(function (answer) { return answer.json(); });
      return index;
    }
    // All words have to be there; those in titles count most, then those in this order.
    function score(entry, words) {
      const title = [entry.title, entry.what, entry.path].join(" ").toLowerCase();
      const text = [entry.previous_headings, entry.text, entry.code].join(" ").toLowerCase();
      const parts = words.map(function (word) { return title.includes(word) ? 10 : text.includes(word) ? 1 : -1e9; });
      const phrase = text.includes(words.join(" ")) ? 5 : 0;
      return parts.reduce(function (sum, part) { return sum + part; }, phrase);
    }
    function show(entries) {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      const scored = words.length ? entries.map(function (entry) { return [score(entry, words), entry]; }) : [];
      const found = scored.filter(function (pair) { return pair[0] > 0; }).sort(function (a, b) { return b[0] - a[0]; });
      // The best place of each page.
      const pages = new Set();
      const best = found.filter(function (pair) { return !pages.has(pair[1].path) && pages.add(pair[1].path); });
      results.replaceChildren();
      best.slice(0, 12).forEach(function (pair) {
        const entry = pair[1];
        const link = element("a", "list-group-item list-group-item-action small py-1", entry.title);
        const path = entry.path.replace(/^([a-z]+:\/\/[^/]+)?\//, "");
        link.href = new URL(path + (entry.id ? "#" + entry.id : ""), root);
        if (entry.what !== entry.title) link.append(element("div", "text-muted", entry.what));
        results.append(link);
      });
      if (words.length && !best.length) results.append(element("div", "list-group-item text-muted", "Nothing is found."));
    }

    box.addEventListener("focus", load);
    box.addEventListener("input", function () { load().then(show); });
    box.form.addEventListener("submit", function (event) {
      event.preventDefault();
      const first = results.querySelector("a");
      if (first) first.click();
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    const toc = document.getElementById("toc");
    const box = document.getElementById("search-input");
    if (toc && !window.Toc) contents(toc);
    if (box && !window.Fuse) search(box);
  });
})();
