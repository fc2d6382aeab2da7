// Charts say their values under the pointer; spectrograms follow and steer their audio. The page is whole without this.
"use strict";
(() => {
  const tip = document.getElementById("tip");

  function showTip(text, event) {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, document.documentElement.clientWidth - box.width - 6);
    const above = event.clientY - box.height - 14;
    tip.style.transform = `translate(${Math.max(6, left)}px, ${above > 6 ? above : event.clientY + 18}px)`;
  }

  const hideTip = () => { tip.hidden = true; };

  function place(svg, event) {
    const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
    return [(event.clientX - box.left) / box.width * view.width, (event.clientY - box.top) / box.height * view.height];
  }

  const number = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });

  function nearest(points, x) {
    return points.reduce((best, point) => Math.abs(point[0] - x) < Math.abs(best[0] - x) ? point : best);
  }

  for (const svg of document.querySelectorAll("svg[data-chart]")) {
    const data = JSON.parse(svg.dataset.chart);
    const curves = data.series.filter((each) => each.points), [low, high] = data.range;
    const cursor = document.createElementNS("http://www.w3.org/2000/svg", "path");
    cursor.setAttribute("class", "cursor");
    svg.append(cursor);
    svg.addEventListener("pointermove", (event) => {
      const [px] = place(svg, event);
      const wanted = low + (px - data.left) / (data.right - data.left) * (high - low);
      const x = nearest(curves[0].points, wanted)[0];
      const lines = data.series.map((each) => `${each.name}: ${number(each.points ? nearest(each.points, x)[1] : each.level)}`);
      const at = data.left + (x - low) / (high - low) * (data.right - data.left);
      cursor.setAttribute("d", `M${at} 8V${svg.viewBox.baseVal.height - 36}`);
      showTip([`${data.x} ${number(x)}`, ...lines].join("\n"), event);
    });
    svg.addEventListener("pointerleave", () => { cursor.removeAttribute("d"); hideTip(); });
  }

  for (const svg of document.querySelectorAll("svg[data-heat]")) {
    const data = JSON.parse(svg.dataset.heat), [left, top, column, row] = data.box;
    svg.addEventListener("pointermove", (event) => {
      const [px, py] = place(svg, event);
      const unit = Math.floor((px - left) / column), phone = Math.floor((py - top) / row);
      const percent = (data.percent[phone] || [])[unit];
      if (percent === undefined) { hideTip(); return; }
      showTip(`unit ${data.units[unit]}: ${percent} % ${data.phones[phone]}`, event);
    });
    svg.addEventListener("pointerleave", hideTip);
  }

  for (const figure of document.querySelectorAll("figure.utterance")) {
    const svg = figure.querySelector("svg"), audio = figure.querySelector("audio"), box = figure.querySelector(".scroll");
    const head = svg.querySelector(".playhead"), seconds = Number(svg.dataset.seconds);
    const move = () => {
      const x = audio.currentTime / seconds * svg.viewBox.baseVal.width;
      head.setAttribute("transform", `translate(${x} 0)`);
      if (!audio.paused) {
        box.scrollLeft = x - box.clientWidth / 2;
        requestAnimationFrame(move);
      }
    };
    audio.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) if (other !== audio) other.pause();
      move();
    });
    audio.addEventListener("seeked", move);
    svg.addEventListener("click", (event) => {
      audio.currentTime = place(svg, event)[0] / svg.viewBox.baseVal.width * seconds;
      audio.play().catch(() => { /* a browser may refuse to play before it was clicked */ });
    });
  }
})();
