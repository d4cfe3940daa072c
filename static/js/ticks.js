/** Buttons with data-tick ("all" or "none") tick the boxes of their own group. */

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-tick]");
  if (button) {
    button.closest("fieldset, .ticks").querySelectorAll("input[type=checkbox]").forEach((box) => {
      box.checked = button.dataset.tick === "all";
    });
  }
});
