/**
 * A strip is walked hour by hour: by the arrows, the pointer or a finger. What an hour
 * holds is told beside it, and Enter or a click lists its results.
 */

const HOUR_MS = 3600000;
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
const tip = document.body.appendChild(document.createElement("div"));
tip.className = "tip";
tip.hidden = true;
const picked = document.createElement("span");
picked.className = "picked";
let current = null;

function cells(box) {
  return box.dataset.strip.split("|");
}

function hourOf(box, place) {
  return Number(box.dataset.start) + place * HOUR_MS;
}

function clock(ms) {
  const options = { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: document.documentElement.dataset.zone };
  return new Intl.DateTimeFormat("en-GB", options).format(ms);
}

function told(box, place) {
  const [samples, failed, why] = cells(box)[place].split("/");
  const when = clock(hourOf(box, place));
  if (samples === "maintenance") {
    return `${when}: maintenance, in no number`;
  }
  if (!samples) {
    return `${when}: no data`;
  }
  return failed ? `${when}: ${failed} of ${samples} failed, mostly: ${why}` : `${when}: ${samples} ok`;
}

function pick(box, place) {
  const count = cells(box).length;
  const to = Math.min(Math.max(place, 0), count - 1);
  current = { box, place: to };
  box.setAttribute("aria-valuenow", String(to));
  box.setAttribute("aria-valuetext", told(box, to));
  picked.style.left = `${(to / count) * 100}%`;
  picked.style.width = `${100 / count}%`;
  box.append(picked);
  tip.textContent = told(box, to);
  tip.hidden = false;
  const around = box.getBoundingClientRect();
  const left = around.left + ((to + 0.5) / count) * around.width - tip.offsetWidth / 2;
  // Within its card: beside it the tip would lie over numbers of something else.
  const card = (box.closest(".card") ?? document.body).getBoundingClientRect();
  const most = card.right - tip.offsetWidth - 4;
  tip.style.left = `${window.scrollX + Math.max(Math.min(left, most), card.left + 4)}px`;
  tip.style.top = `${window.scrollY + around.top - tip.offsetHeight - 6}px`;
}

function leave() {
  tip.hidden = true;
  picked.remove();
  current = null;
}

function list(box, place) {
  const address = new URL(box.dataset.url, window.location.href);
  const stamp = (ms) => new Date(ms).toISOString().slice(0, 19) + "Z";
  address.searchParams.set("from", stamp(hourOf(box, place)));
  address.searchParams.set("to", stamp(hourOf(box, place) + HOUR_MS));
  window.location.assign(address);
}

function placeAt(box, event) {
  const around = box.getBoundingClientRect();
  return Math.floor(((event.clientX - around.left) / around.width) * cells(box).length);
}

function boxOf(event) {
  return event.target instanceof Element ? event.target.closest("[data-strip]") : null;
}

document.addEventListener("keydown", (event) => {
  const box = boxOf(event);
  if (!box) {
    return;
  }
  const here = current?.box === box ? current.place : cells(box).length - 1;
  if (event.key in STEPS) {
    event.preventDefault();
    pick(box, current?.box === box ? here + STEPS[event.key] : here);
  } else if (event.key === "Home" || event.key === "End") {
    event.preventDefault();
    pick(box, event.key === "Home" ? 0 : cells(box).length - 1);
  } else if (event.key === "Enter") {
    list(box, here);
  } else if (event.key === "Escape") {
    leave();
  }
});
document.addEventListener("pointermove", (event) => {
  const box = boxOf(event);
  if (box) {
    pick(box, placeAt(box, event));
  } else if (current && current.box !== document.activeElement) {
    leave();
  }
});
document.addEventListener("click", (event) => {
  const box = boxOf(event);
  if (box) {
    list(box, Math.min(Math.max(placeAt(box, event), 0), cells(box).length - 1));
  }
});
document.addEventListener("focusout", (event) => boxOf(event) && leave());
// A renewal puts the summary back; whoever is in the middle of a strip stays there.
document.addEventListener("htmx:after:swap", () => {
  if (current?.box.isConnected) {
    pick(current.box, current.place);
  } else if (current) {
    leave();
  }
});
