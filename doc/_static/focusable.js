// What is wider than the page is scrolled: give it to the keyboard, too.
document.addEventListener("DOMContentLoaded", () => {
  for (const element of document.querySelectorAll("article pre, article .table-wrapper")) {
    element.tabIndex = 0;
  }
});
