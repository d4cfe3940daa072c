/** The page's icon carries the number of problems, so that a pinned tab tells it too. */

const icon = document.querySelector('link[rel="icon"]');
const plain = icon?.href;

function drawing(count) {
  const text = count > 9 ? "9+" : String(count);
  const size = text.length > 1 ? 17 : 22;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#b3261e"/><text x="16" y="23" font-family="sans-serif" font-weight="700" font-size="${size}" text-anchor="middle" fill="#fff">${text}</text></svg>`;
}

export function tellCount() {
  const count = Number(document.querySelector("[data-problems]")?.dataset.problems ?? 0);
  if (icon) {
    icon.href = count > 0 ? `data:image/svg+xml,${encodeURIComponent(drawing(count))}` : plain;
  }
}
