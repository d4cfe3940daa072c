/**
 * Renew the page's live part every few seconds, but only while somebody looks at it.
 *
 * The part answers to the event "renew"; htmx fetches and morphs it. An answer that is
 * not the part (a log-in page after the session ended, an error) is never put in its place.
 */

import { tellCount } from "./count.js";

const SOON_S = 1.5;

function live() {
  return document.querySelector("[data-live]");
}

function isBusy(part) {
  const focused = document.activeElement;
  return part.contains(focused) && focused.matches("input, select, textarea");
}

function renew() {
  const part = live();
  if (part && document.visibilityState === "visible" && !isBusy(part)) {
    part.dispatchEvent(new Event("renew"));
  }
}

let opened = [];

document.addEventListener("htmx:before:swap", (event) => {
  opened = [...document.querySelectorAll("[data-live] details[open][id]")].map((each) => each.id);
  const response = event.detail.ctx.response;
  if (response.raw.redirected) {
    event.preventDefault();
    window.location.reload();
  } else if (response.status !== 200) {
    event.preventDefault();
  }
});

document.addEventListener("htmx:after:swap", () => {
  opened.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
  const title = live()?.querySelector("[data-title]");
  if (title) {
    document.title = title.dataset.title;
  }
  tellCount();
});

document.addEventListener("htmx:finally:request", (event) => {
  const failed = (event.detail.ctx.response?.status ?? 0) !== 200;
  document.documentElement.toggleAttribute("data-offline", failed);
});

/** Sooner while the page waits for something that somebody asked for. */
function secondsToNext() {
  return live().querySelector("[data-soon]") ? SOON_S : Number(live().dataset.every);
}

function renewForEver() {
  setTimeout(() => {
    renew();
    renewForEver();
  }, secondsToNext() * 1000);
}

tellCount();
if (Number(live()?.dataset.every ?? 0) > 0) {
  renewForEver();
  document.addEventListener("visibilitychange", renew);
}
