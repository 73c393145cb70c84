// Lets people see the password they type. The button stays hidden where scripts do not run.
for (const button of document.querySelectorAll(".revealing button")) {
  const input = document.getElementById(button.getAttribute("aria-controls"));

  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? button.dataset.hide : button.dataset.show;
    button.setAttribute("aria-label", visible ? button.dataset.hideLabel : button.dataset.showLabel);
  };

  show(false);
  button.hidden = false;
  button.parentElement.classList.add("ready");
  button.addEventListener("click", () => show(input.type === "password"));
  // A browser remembers what was typed into a text field, and offers it to the next person.
  input.form.addEventListener("submit", () => show(false));
}
