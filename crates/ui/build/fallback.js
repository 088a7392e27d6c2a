// The plain page's one live line: whether the server is ready, asked every five seconds.
const status = document.getElementById("status");

async function ask() {
  try {
    const response = await fetch("/-/ready");
    status.textContent = response.ok ? "The server is ready." : `The server is not ready yet (${response.status}).`;
  } catch {
    status.textContent = "The server does not answer.";
  }
}

ask();
setInterval(ask, 5000);
