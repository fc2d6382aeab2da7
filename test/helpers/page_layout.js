// A page in, sentences out about what is wider than the window or its box, leaves its chart, or is empty.
(() => {
  const width = document.documentElement.clientWidth, found = [];
  const scrolls = (element) => element.closest(".scroll, nav, details:not([open])");
  const name = (element) => `${element.tagName.toLowerCase()} ${element.id || element.getAttribute("class") || ""}`.trim();

  if (document.documentElement.scrollWidth > width) {
    found.push(`the page is ${document.documentElement.scrollWidth} pixels wide, the window ${width}`);
  }
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (!scrolls(element) && box.width > 0 && (box.right > width + 1 || box.left < -1)) {
      found.push(`${name(element)} reaches from ${Math.round(box.left)} to ${Math.round(box.right)}`);
    }
    const isBox = !element.closest("svg") && element.clientWidth > 0 && style.display !== "inline";
    if (isBox && !scrolls(element) && style.overflowX === "visible" && element.scrollWidth > element.clientWidth + 1) {
      found.push(`${name(element)} holds ${element.scrollWidth} pixels in ${element.clientWidth}`);
    }
    if (element.tagName === "text" && box.width > 0) {
      const chart = element.ownerSVGElement.getBoundingClientRect();
      if (box.right > chart.right + 1 || box.left < chart.left - 1) found.push(`text "${element.textContent}" leaves its chart`);
    }
  }
  for (const element of document.querySelectorAll("figure, section, .charts, .card, table, image, audio")) {
    if (!scrolls(element) && element.getBoundingClientRect().height < 20) found.push(`${name(element)} is empty`);
  }
  return found;
})()
