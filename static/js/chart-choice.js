/**
 * Dragging over a chart chooses that time for the page; a click leads to the results of
 * the point that it meets. Both are addresses, as the bar and the table give them too.
 * A finger chooses sideways: up and down, the page scrolls and the choice is given up.
 */

const LEAST_PX = 8;

function stamp(ms) {
  return new Date(ms).toISOString().slice(0, 19) + "Z";
}

function show(from, to) {
  const address = new URL(window.location.href);
  address.searchParams.delete("range");
  address.searchParams.delete("after");
  address.searchParams.set("from", stamp(from));
  address.searchParams.set("to", stamp(to));
  window.location.assign(address);
}

function list(spec, at) {
  const start = spec.start + Math.floor((at - spec.start) / spec.step) * spec.step;
  const address = new URL(spec.drill, window.location.href);
  address.searchParams.set("from", stamp(start));
  address.searchParams.set("to", stamp(start + spec.step));
  window.location.assign(address);
}

function within(area, x) {
  return Math.min(Math.max(x, area.left), area.right);
}

/** Listen to one chart's canvas until the returned function is called. */
export function choose(chart, spec) {
  const canvas = chart.canvas;
  const box = document.createElement("div");
  box.className = "choice";
  box.hidden = true;
  canvas.parentElement.append(box);
  const ended = new AbortController();
  const until = { signal: ended.signal };
  let from = null;

  function draw(to) {
    const area = chart.chartArea;
    box.style.left = `${Math.min(from, to)}px`;
    box.style.width = `${Math.abs(to - from)}px`;
    box.style.top = `${area.top}px`;
    box.style.height = `${area.bottom - area.top}px`;
    box.hidden = Math.abs(to - from) < LEAST_PX;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button === 0 && event.offsetX >= chart.chartArea.left) {
      from = within(chart.chartArea, event.offsetX);
      if (spec.zooms) {
        canvas.setPointerCapture(event.pointerId);
      }
    }
  }, until);
  canvas.addEventListener("pointermove", (event) => {
    if (from !== null && spec.zooms) {
      draw(within(chart.chartArea, event.offsetX));
    }
  }, until);
  canvas.addEventListener("pointerup", (event) => {
    if (from === null) {
      return;
    }
    const to = within(chart.chartArea, event.offsetX);
    const [left, right] = [from, to].sort((one, other) => one - other).map((x) => chart.scales.x.getValueForPixel(x));
    const isDrag = Math.abs(to - from) >= LEAST_PX;
    from = null;
    box.hidden = true;
    if (isDrag && spec.zooms) {
      show(left, right);
    } else if (!isDrag && spec.drill) {
      list(spec, left);
    }
  }, until);
  canvas.addEventListener("pointercancel", () => {
    from = null;
    box.hidden = true;
  }, until);
  return () => {
    ended.abort();
    box.remove();
  };
}
