// Asks our server whether the device has been allowed; without scripts the page loads itself again instead.
const card = document.querySelector("[data-status]");

async function look() {
  const answer = await fetch(card.dataset.status)
    .then((response) => response.json())
    .catch(() => ({ seconds: 5 }));
  if (answer.seconds) {
    setTimeout(look, answer.seconds * 1000);
  } else {
    location.reload();
  }
}

look();
