/**
 * The keyboard: "?" shows the sheet, "/" searches, "j" and "k" walk the lists, and "g"
 * with a letter goes to a page. Nothing happens while somebody types, or with a modifier.
 */

const ROWS = "a.title, tbody th[scope=row] a, tbody th[scope=row] summary, .jump";
let pending = "";

function isTyping(target) {
  return target.closest("input, textarea, select, [contenteditable]") !== null;
}

function visibleRows() {
  return [...document.querySelectorAll(ROWS)].filter((row) => row.checkVisibility());
}

/** Move the focus to the next row, or the one before; from outside to the first. */
function walk(step) {
  const rows = visibleRows();
  const here = rows.indexOf(document.activeElement);
  const to = here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step;
  rows[Math.min(Math.max(to, 0), rows.length - 1)]?.focus();
}

function goTo(letter) {
  document.querySelector(`a[data-go="${CSS.escape(letter)}"]`)?.click();
}

function open(sheet) {
  if (sheet && !sheet.open) {
    sheet.showModal();
  }
}

const ACTIONS = {
  "?": () => open(document.querySelector("[data-keys]")),
  "/": () => document.querySelector("[data-search]")?.focus(),
  j: () => walk(1),
  k: () => walk(-1),
};

// On a phone the menu is one line that scrolls: show where in it this page is.
document.querySelector(".menu [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) {
    return;
  }
  const before = pending;
  pending = "";
  if (before === "g") {
    goTo(event.key);
  } else if (event.key === "g") {
    pending = "g";
  } else if (ACTIONS[event.key]) {
    event.preventDefault();
    ACTIONS[event.key]();
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-keys-open]")) {
    open(document.querySelector("[data-keys]"));
  }
});
